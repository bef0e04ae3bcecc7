"""What no client should send: the reason codes of MQTT 5.0, silence in 3.1.1, and a broker that goes on."""

import random
import struct

import pytest

import wire
from wire import packet, properties_bytes, text

MALFORMED, PROTOCOL, EITHER = (0x81,), (0x82,), (0x81, 0x82)


def connect_bytes(flags=0x02, properties=b"\x00", tail=text(""), protocol=text("MQTT"), level=5):
    """A CONNECT of arbitrary parts."""
    return packet(wire.CONNECT, 0, protocol + bytes([level, flags]) + b"\x00\x00" + properties + tail)


def props(*pairs):
    """A property block."""
    return properties_bytes(list(pairs))


# Before and instead of CONNECT

BAD_CONNECTS = {
    "reserved flag": (connect_bytes(flags=0x03), MALFORMED),
    "will QoS 3": (connect_bytes(flags=0x1E, tail=text("") + b"\x00" + text("w") + text("")), MALFORMED),
    "will QoS without will": (connect_bytes(flags=0x0A), MALFORMED),
    "will retain without will": (connect_bytes(flags=0x22), MALFORMED),
    "no client identifier": (connect_bytes(tail=b""), MALFORMED),
    "identifier cut off": (connect_bytes(tail=b"\x00\x05ab"), MALFORMED),
    "identifier not UTF-8": (connect_bytes(tail=text(b"\xff\xfe")), (0x81, 0x85)),
    "identifier with U+0000": (connect_bytes(tail=text("a\0b")), (0x81, 0x85)),
    "bytes behind the payload": (connect_bytes(tail=text("") + b"x"), MALFORMED),
    "session expiry twice": (connect_bytes(properties=props(("session_expiry", 1), ("session_expiry", 1))), PROTOCOL),
    "receive maximum 0": (connect_bytes(properties=props(("receive_maximum", 0))), PROTOCOL),
    "maximum packet size 0": (connect_bytes(properties=props(("maximum_packet_size", 0))), PROTOCOL),
    "request problem 2": (connect_bytes(properties=props(("request_problem_information", 2))), PROTOCOL),
    "request response 2": (connect_bytes(properties=props(("request_response_information", 2))), PROTOCOL),
    "authentication data alone": (connect_bytes(properties=props(("authentication_data", b"x"))), PROTOCOL),
    "unknown authentication method": (connect_bytes(properties=props(("authentication_method", "nope"))), (0x8C,)),
    "property of another packet": (connect_bytes(properties=props(("topic_alias", 1))), EITHER),
    "unknown property": (connect_bytes(properties=b"\x02\x7e\x00"), MALFORMED),
    "property cut off": (connect_bytes(properties=b"\x03\x11\x00\x00"), MALFORMED),
    "properties longer than the packet": (connect_bytes(properties=b"\x7f"), MALFORMED),
    "property length not shortest": (connect_bytes(properties=b"\x80\x00"), MALFORMED),
    "unsupported level 6": (connect_bytes(level=6), (0x84,)),
    "will payload format 2": (
        connect_bytes(flags=0x06, tail=text("") + props(("payload_format", 2)) + text("w") + text("")),
        EITHER,
    ),
    "will topic empty": (connect_bytes(flags=0x06, tail=text("") + b"\x00" + text("") + text("")), (0x81, 0x82, 0x90)),
}


@pytest.mark.parametrize("case", BAD_CONNECTS)
def test_bad_connect_is_refused_with_its_reason(broker, dial, case):
    data, reasons = BAD_CONNECTS[case]
    client = dial(broker)
    client.send(data)
    answer = client.expect_closed()
    assert [got.name for got in answer] == ["CONNACK"]
    assert answer[0].reason in reasons, hex(answer[0].reason)
    assert answer[0].session_present is False


NO_CONNECTS = {
    "PINGREQ": b"\xc0\x00",
    "PUBLISH": wire.publish(5, "a", b"", 0, False, False, None, []),
    "SUBSCRIBE": wire.subscribe(5, 1, [("a", 0)], []),
    "zeros": b"\x00" * 64,
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 190,
    "CONNECT with packet flags": b"\x11" + connect_bytes()[1:],
    "another protocol name": connect_bytes(protocol=text("MQXX")),
    "length of five bytes": b"\x10\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("case", NO_CONNECTS)
def test_what_is_no_connect_is_closed_without_a_success(broker, dial, case):
    client = dial(broker)
    client.send(NO_CONNECTS[case])
    for got in client.expect_closed():
        assert got.kind in (wire.CONNACK, wire.DISCONNECT) and got.reason >= 0x80


BAD_CONNECTS_4 = {
    "reserved flag": connect_bytes(flags=0x03, properties=b"", level=4),
    "password without user name": connect_bytes(flags=0x42, properties=b"", level=4, tail=text("a") + text("pw")),
    "will QoS 3": connect_bytes(flags=0x1E, properties=b"", level=4, tail=text("a") + text("w") + text("")),
    "bytes behind the payload": connect_bytes(properties=b"", level=4, tail=text("a") + b"x"),
}


@pytest.mark.parametrize("case", BAD_CONNECTS_4)
def test_bad_connect_of_3_1_1_is_closed_in_silence(broker, dial, case):
    client = dial(broker, version=4)
    client.send(BAD_CONNECTS_4[case])
    assert client.expect_closed() == []


@pytest.mark.parametrize("level", [1, 2, 7, 200])
def test_unsupported_levels_are_closed(broker, dial, level):
    client = dial(broker, version=4)
    client.send(connect_bytes(level=level, properties=b"", tail=text("a")))
    before_end = bytes_until_closed(client)
    # Nothing, or a CONNACK that says so in the form of version 3.1.1 or 5.
    assert before_end in (b"", b"\x20\x02\x00\x01") or (before_end[0], before_end[3]) == (0x20, 0x84), before_end


def bytes_until_closed(client):
    """Undecoded bytes up to the end of the connection."""
    found = b""
    while chunk := client.socket.recv(4096):
        found += chunk
    return found


# After CONNECT


def publish_body(*parts):
    """A PUBLISH of QoS 0 from raw parts."""
    return packet(wire.PUBLISH, 0, b"".join(parts))


def subscribe_body(*parts, flags=2):
    """A SUBSCRIBE from raw parts behind its packet identifier."""
    return packet(wire.SUBSCRIBE, flags, b"\x00\x01" + b"".join(parts))


BAD_PACKETS = {
    "second CONNECT": (connect_bytes(), PROTOCOL),
    "packet type 0": (b"\x00\x00", MALFORMED),
    "CONNACK from a client": (b"\x20\x03\x00\x00\x00", EITHER),
    "SUBACK from a client": (b"\x90\x04\x00\x01\x00\x00", EITHER),
    "UNSUBACK from a client": (b"\xb0\x04\x00\x01\x00\x00", EITHER),
    "PINGRESP from a client": (b"\xd0\x00", EITHER),
    "remaining length of five bytes": (b"\x30\xff\xff\xff\xff\x01", MALFORMED),
    "PINGREQ with a body": (b"\xc0\x01\x00", MALFORMED),
    "PINGREQ with flags": (b"\xc1\x00", MALFORMED),
    # PUBLISH (section 3.3)
    "PUBLISH of QoS 3": (b"\x36" + publish_body(text("a"), b"\x00\x01\x00")[1:], MALFORMED),
    "PUBLISH with DUP at QoS 0": (b"\x38" + publish_body(text("a"), b"\x00")[1:], EITHER),
    "PUBLISH with packet identifier 0": (wire.publish(5, "a", b"", 1, False, False, 0, []), EITHER),
    "PUBLISH cut off in its topic": (publish_body(b"\x00\x05a"), MALFORMED),
    "PUBLISH without packet identifier": (packet(wire.PUBLISH, 2, text("a")), MALFORMED),
    "PUBLISH without topic and alias": (publish_body(text(""), b"\x00"), PROTOCOL),
    "PUBLISH topic with #": (publish_body(text("a/#"), b"\x00"), (0x81, 0x82, 0x90)),
    "PUBLISH topic with +": (publish_body(text("a/+"), b"\x00"), (0x81, 0x82, 0x90)),
    "PUBLISH topic not UTF-8": (publish_body(text(b"\xc3\x28"), b"\x00"), MALFORMED),
    "PUBLISH topic overlong UTF-8": (publish_body(text(b"\xc0\xaf"), b"\x00"), MALFORMED),
    "PUBLISH topic with a surrogate": (publish_body(text(b"\xed\xa0\x80"), b"\x00"), MALFORMED),
    "PUBLISH topic with U+0000": (publish_body(text("a\0"), b"\x00"), (0x81, 0x90)),
    "PUBLISH properties too long": (publish_body(text("a"), b"\x20"), MALFORMED),
    "PUBLISH property length not shortest": (publish_body(text("a"), b"\x81\x80\x00"), MALFORMED),
    "PUBLISH payload format twice": (
        publish_body(text("a"), props(("payload_format", 1), ("payload_format", 1))),
        PROTOCOL,
    ),
    "PUBLISH payload format 2": (publish_body(text("a"), props(("payload_format", 2))), EITHER),
    "PUBLISH content type twice": (
        publish_body(text("a"), props(("content_type", "x"), ("content_type", "x"))),
        PROTOCOL,
    ),
    "PUBLISH expiry twice": (publish_body(text("a"), props(("message_expiry", 1), ("message_expiry", 1))), PROTOCOL),
    "PUBLISH alias twice": (publish_body(text("a"), props(("topic_alias", 1), ("topic_alias", 1))), PROTOCOL),
    "PUBLISH with subscription identifier": (publish_body(text("a"), props(("subscription_id", 1))), EITHER),
    "PUBLISH response topic with #": (publish_body(text("a"), props(("response_topic", "r/#"))), (0x81, 0x82, 0x90)),
    "PUBLISH property of CONNECT": (publish_body(text("a"), props(("session_expiry", 1))), EITHER),
    "PUBLISH unknown property": (publish_body(text("a"), b"\x02\x7e\x00"), MALFORMED),
    "PUBLISH user property not UTF-8": (publish_body(text("a"), props(("user", (b"\xff", "v")))), MALFORMED),
    "PUBLISH user property cut off": (publish_body(text("a"), b"\x05\x26\x00\x01k\x00"), MALFORMED),
    # Acknowledgements (sections 3.4 to 3.7)
    "PUBACK without identifier": (packet(wire.PUBACK, 0, b"\x01"), MALFORMED),
    "PUBACK with flags": (packet(wire.PUBACK, 2, b"\x00\x01"), MALFORMED),
    "PUBACK with an unknown reason": (packet(wire.PUBACK, 0, b"\x00\x01\x03"), EITHER),
    "PUBACK with bytes behind": (packet(wire.PUBACK, 0, b"\x00\x01\x00\x00x"), MALFORMED),
    "PUBREL without its flags": (packet(wire.PUBREL, 0, b"\x00\x01"), MALFORMED),
    "PUBREL with identifier 0": (packet(wire.PUBREL, 2, b"\x00\x00"), EITHER),
    "PUBREC with flags": (packet(wire.PUBREC, 1, b"\x00\x01"), MALFORMED),
    "PUBCOMP with flags": (packet(wire.PUBCOMP, 8, b"\x00\x01"), MALFORMED),
    # SUBSCRIBE, UNSUBSCRIBE (sections 3.8, 3.10)
    "SUBSCRIBE without its flags": (subscribe_body(b"\x00", text("a"), b"\x00", flags=0), MALFORMED),
    "SUBSCRIBE without filters": (subscribe_body(b"\x00"), PROTOCOL),
    "SUBSCRIBE with identifier 0": (packet(wire.SUBSCRIBE, 2, b"\x00\x00\x00" + text("a") + b"\x00"), EITHER),
    "SUBSCRIBE without options": (subscribe_body(b"\x00", text("a")), MALFORMED),
    "SUBSCRIBE of QoS 3": (subscribe_body(b"\x00", text("a"), b"\x03"), EITHER),
    "SUBSCRIBE with retain handling 3": (subscribe_body(b"\x00", text("a"), b"\x30"), EITHER),
    "SUBSCRIBE with reserved option bits": (subscribe_body(b"\x00", text("a"), b"\x40"), MALFORMED),
    "SUBSCRIBE with subscription identifier 0": (
        subscribe_body(props(("subscription_id", 0)), text("a"), b"\x00"),
        PROTOCOL,
    ),
    "SUBSCRIBE with two subscription identifiers": (
        subscribe_body(props(("subscription_id", 1), ("subscription_id", 2)), text("a"), b"\x00"),
        PROTOCOL,
    ),
    "SUBSCRIBE filter not UTF-8": (subscribe_body(b"\x00", text(b"\xff"), b"\x00"), MALFORMED),
    "SUBSCRIBE property of PUBLISH": (subscribe_body(props(("content_type", "x")), text("a"), b"\x00"), EITHER),
    "UNSUBSCRIBE without its flags": (packet(wire.UNSUBSCRIBE, 0, b"\x00\x01\x00" + text("a")), MALFORMED),
    "UNSUBSCRIBE without filters": (packet(wire.UNSUBSCRIBE, 2, b"\x00\x01\x00"), PROTOCOL),
    "UNSUBSCRIBE cut off": (packet(wire.UNSUBSCRIBE, 2, b"\x00\x01\x00\x00\x05a"), MALFORMED),
    # DISCONNECT, AUTH (sections 3.14, 3.15)
    "DISCONNECT with flags": (b"\xe1\x00", MALFORMED),
    "DISCONNECT with an unknown reason": (b"\xe0\x01\x03", EITHER),
    "DISCONNECT with bytes behind": (b"\xe0\x03\x00\x00x", MALFORMED),
    "AUTH without a method": (b"\xf0\x00", PROTOCOL),
    "AUTH with flags": (b"\xf1\x00", MALFORMED),
}


@pytest.mark.parametrize("case", BAD_PACKETS)
def test_bad_packet_ends_the_connection_with_its_reason(broker, connect, case):
    data, reasons = BAD_PACKETS[case]
    client = connect(broker)
    client.send(data)
    client.expect_disconnect(*reasons)


BAD_PACKETS_4 = {
    "second CONNECT": connect_bytes(properties=b"", level=4, tail=text("a")),
    "packet type 15": b"\xf0\x00",
    "PUBLISH of QoS 3": b"\x36\x05\x00\x01a\x00\x01",
    "PUBLISH topic with #": b"\x30\x03\x00\x01#",
    "PUBLISH topic empty": b"\x30\x02\x00\x00",
    "PUBLISH with packet identifier 0": b"\x32\x05\x00\x01a\x00\x00",
    "SUBSCRIBE without filters": b"\x82\x02\x00\x01",
    "SUBSCRIBE without its flags": b"\x80\x06\x00\x01\x00\x01a\x00",
    "SUBSCRIBE with option bits of version 5": b"\x82\x06\x00\x01\x00\x01a\x04",
    "UNSUBSCRIBE without filters": b"\xa2\x02\x00\x01",
    "PUBACK with a reason": b"\x40\x03\x00\x01\x00",
    "PINGREQ with a body": b"\xc0\x01\x00",
    "DISCONNECT with a reason": b"\xe0\x01\x00",
    "remaining length of five bytes": b"\x30\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("case", BAD_PACKETS_4)
def test_bad_packet_of_3_1_1_is_closed_in_silence(broker, connect, case):
    client = connect(broker, version=4)
    client.send(BAD_PACKETS_4[case])
    assert client.expect_closed() == []


# What is unusual but right


def test_a_reason_string_comes_unless_problem_information_is_off(broker, connect):
    client = connect(broker)
    client.send(b"\xc1\x00")
    assert client.expect_disconnect(0x81).prop("reason_string")


def test_connect_may_come_byte_by_byte(broker, dial):
    client = dial(broker)
    for byte in wire.connect(5, "", True, 0, []):
        client.send(bytes([byte]))
    assert client.expect(wire.CONNACK).reason == 0


def test_many_packets_may_come_at_once_even_before_connack(broker, dial, p):
    client = dial(broker)
    data = wire.connect(5, "", True, 0, []) + wire.subscribe(5, 1, [(p, 1)], [])
    data += b"".join(wire.publish(5, p, b"%d" % number, 1, False, False, number + 2, []) for number in range(50))
    client.send(data)
    assert client.expect(wire.CONNACK).reason == 0
    assert client.expect(wire.SUBACK, 1).reasons == [1]
    assert [int(got.payload) for got in client.messages(50)] == list(range(50))


@pytest.mark.parametrize("form", [b"\xe0\x00", b"\xe0\x01\x00", b"\xe0\x02\x00\x00"])
def test_every_form_of_disconnect_is_taken(broker, connect, form, p):
    watcher = connect(broker)
    watcher.granted(p, qos=1)
    client = connect(broker, will={"topic": p, "payload": b"will", "qos": 1})
    client.send(form)
    assert client.expect_closed() == []
    watcher.publish(p, "end")
    assert watcher.until("end") == []


@pytest.mark.parametrize("form", [b"\x40\x02\x00\x01", b"\x40\x03\x00\x01\x00", b"\x40\x04\x00\x01\x00\x00"])
def test_every_form_of_puback_is_taken(broker, connect, p, form):
    client = connect(broker, receive_maximum=1, auto_ack=False)
    client.granted(p, qos=1)
    publisher = connect(broker)
    for payload in ("a", "b"):
        publisher.publish(p, payload)
    got = client.message()
    client.send(form[:2] + struct.pack(">H", got.packet_id) + form[4:])
    assert client.message().payload == b"b"


def test_an_acknowledgement_nobody_waits_for_does_no_harm(broker, connect, p):
    client = connect(broker, version=4)
    client.ack(wire.PUBACK, 77)
    client.ack(wire.PUBCOMP, 78)
    client.sync()


def test_user_name_and_password_are_accepted_without_authentication(broker, connect):
    connect(broker, username="u", password=b"\x00\xff")
    connect(broker, password=b"alone")
    connect(broker, version=4, username="u", password=b"pw")


def test_garbage_never_brings_the_broker_down(broker, dial, connect):
    dice = random.Random(4711)
    whole = [data for data, _ in BAD_PACKETS.values()]
    for _ in range(150):
        client = dial(broker)
        noise = bearing_noise(dice, whole)
        try:
            client.send((connect_bytes() if dice.random() < 0.8 else b"") + noise)
        except OSError:
            pass
        client.socket.close()
    connect(broker).sync()


def bearing_noise(dice, whole):
    """A packet with some bytes changed, or plain noise."""
    if dice.random() < 0.2:
        return dice.randbytes(dice.randrange(1, 200))
    data = bytearray(dice.choice(whole))
    for _ in range(dice.randrange(1, 4)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)
