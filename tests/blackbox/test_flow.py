"""Receive Maximum, Maximum Packet Size, topic aliases and keep-alive, both ways (MQTT 5.0 sections 3.1, 3.3, 4.9)."""

import time

import pytest

import wire
from raw import payloads

RECEIVE_MAXIMUM, PACKET_SIZE, ALIASES = 5, 4096, 3
BROKER = {
    "config": {
        "session": {
            "receive_maximum": RECEIVE_MAXIMUM,
            "max_packet_size": PACKET_SIZE,
            "topic_alias_maximum": ALIASES,
            "connect_timeout": "2s",
        }
    },
    "store": ["s/#"],
}


def test_connack_tells_the_limits(broker, connect):
    connack = connect(broker).connack
    assert connack.prop("receive_maximum") == RECEIVE_MAXIMUM
    assert connack.prop("maximum_packet_size") == PACKET_SIZE
    assert connack.prop("topic_alias_maximum") == ALIASES
    assert connack.prop("maximum_qos") is None
    for name in ("retain_available", "wildcard_available", "subscription_ids_available", "shared_available"):
        assert connack.prop(name, 1) == 1, name


# Receive Maximum towards the client (section 4.9)


@pytest.mark.parametrize("stored", [False, True])
def test_no_more_than_receive_maximum_in_flight(broker, connect, p, s, stored):
    topic = s if stored else p
    client = connect(broker, receive_maximum=2, auto_ack=False)
    client.granted(topic, qos=2)
    publisher = connect(broker)
    for number in range(4):
        publisher.publish(topic, number, qos=1)
    publisher.publish(topic, "unlimited", qos=0)
    got = client.messages(2)
    client.sync()
    got += [one for one in client.set_aside() if one.qos]
    assert payloads(got) == ["0", "1"]
    for index in range(2):
        client.puback(got[index])
        got.append(client.wait(lambda one: one.kind == wire.PUBLISH and one.qos))
        client.sync()
        assert [one for one in client.set_aside() if one.qos] == []
    assert payloads(got) == ["0", "1", "2", "3"]


def test_receive_maximum_of_a_replay(broker, connect, s, name):
    publisher = connect(broker)
    for number in range(6):
        publisher.publish(s, number)
    client = connect(broker, name, receive_maximum=3, auto_ack=False)
    client.replay("first", s, qos=1)
    got = client.messages(3)
    client.sync()
    assert client.set_aside() == []
    client.puback(got[0])
    got.append(client.message())
    client.sync()
    assert client.set_aside() == []
    assert payloads(got) == ["0", "1", "2", "3"]


def test_qos_2_holds_its_place_until_pubcomp(broker, connect, p):
    client = connect(broker, receive_maximum=1, auto_ack=False)
    client.granted(p, qos=2)
    publisher = connect(broker)
    publisher.publish(p, "a", qos=2)
    publisher.publish(p, "b", qos=2)
    first = client.message()
    client.ack(wire.PUBREC, first.packet_id)
    client.expect(wire.PUBREL, first.packet_id)
    client.sync()
    assert client.set_aside() == []
    client.ack(wire.PUBCOMP, first.packet_id)
    assert client.message().payload == b"b"


def test_pubrec_with_an_error_frees_its_place(broker, connect, p):
    client = connect(broker, receive_maximum=1, auto_ack=False)
    client.granted(p, qos=2)
    publisher = connect(broker)
    publisher.publish(p, "a", qos=2)
    publisher.publish(p, "b", qos=2)
    client.ack(wire.PUBREC, client.message().packet_id, 0x80)
    assert client.message().payload == b"b"


# Receive Maximum of the server


def test_a_client_may_fill_the_servers_receive_maximum(broker, connect, p):
    client = connect(broker)
    for packet_id in range(1, RECEIVE_MAXIMUM + 1):
        client.send_publish(p, "m", qos=2, packet_id=packet_id)
    for packet_id in range(1, RECEIVE_MAXIMUM + 1):
        client.expect(wire.PUBREC, packet_id)
        client.ack(wire.PUBREL, packet_id)
        client.expect(wire.PUBCOMP, packet_id)
    client.publish(p, "one more", qos=2)


def test_a_client_beyond_the_servers_receive_maximum_is_disconnected(broker, connect, p):
    client = connect(broker)
    for packet_id in range(1, RECEIVE_MAXIMUM + 2):
        client.send_publish(p, "m", qos=2, packet_id=packet_id)
    client.expect_disconnect(0x93)


# Maximum Packet Size


def test_a_message_too_large_for_the_client_is_left_out(broker, connect, p):
    client = connect(broker, maximum_packet_size=200)
    client.granted(p, qos=1)
    publisher = connect(broker)
    for payload in ("small", "x" * 300, "end"):
        publisher.publish(p, payload, qos=1)
    assert payloads(client.until("end")) == ["small"]


def test_a_message_of_exactly_the_maximum_packet_size_is_delivered(broker, connect, p):
    payload = "x" * (126 - (2 + len(p) + 2 + 1))
    publisher = connect(broker)
    client = connect(broker, maximum_packet_size=128)
    client.granted(p, qos=1)
    publisher.publish(p, payload + "y")
    publisher.publish(p, payload)
    assert client.message().payload == payload.encode()


def test_a_client_that_sends_too_large_a_packet_is_disconnected(broker, connect, p):
    client = connect(broker)
    client.send_publish(p, "x" * PACKET_SIZE, qos=0)
    client.expect_disconnect(0x95)
    old = connect(broker, version=4)
    old.send_publish(p, "x" * PACKET_SIZE, qos=0)
    assert old.expect_closed() == []


def test_too_large_a_packet_is_refused_by_its_length_alone(broker, connect):
    client = connect(broker)
    client.send(b"\x30\xff\xff\xff\x7f")
    client.expect_disconnect(0x95)


def test_a_packet_of_exactly_the_servers_maximum_is_accepted(broker, connect, p):
    client = connect(broker)
    payload = "x" * (PACKET_SIZE - 3 - (2 + len(p) + 2 + 1))
    assert client.publish(p, payload, qos=1).reason < 0x80


# Topic aliases


def test_a_client_may_use_aliases_and_change_them(broker, connect, p):
    client = connect(broker)
    client.granted(f"{p}/#", qos=1)
    client.publish(f"{p}/a", "1", topic_alias=1)
    client.publish("", "2", topic_alias=1)
    client.publish(f"{p}/b", "3", topic_alias=ALIASES)
    client.publish(f"{p}/c", "4", topic_alias=1)
    client.publish("", "5", topic_alias=ALIASES)
    client.publish("", "6", topic_alias=1)
    got = client.messages(6)
    assert [one.topic[-1] for one in got] == list("aabcbc")
    assert not any(one.prop("topic_alias") for one in got)


@pytest.mark.parametrize("alias", [0, ALIASES + 1, 65_535])
def test_an_alias_out_of_range_is_refused(broker, connect, p, alias):
    client = connect(broker)
    client.send_publish(p, "m", topic_alias=alias)
    client.expect_disconnect(0x94)


def test_an_alias_nobody_set_is_a_protocol_error(broker, connect):
    client = connect(broker)
    client.send_publish("", "m", topic_alias=2)
    client.expect_disconnect(0x82, 0x94)


def test_aliases_end_with_the_connection(broker, connect, p, name):
    connect(broker, name, session_expiry=100).publish(p, "m", topic_alias=1)
    client = connect(broker, name, clean=False, session_expiry=100)
    client.send_publish("", "m", topic_alias=1)
    client.expect_disconnect(0x82, 0x94)


def test_the_server_uses_the_aliases_a_client_allows(broker, connect, p):
    client = connect(broker, topic_alias_maximum=2)
    client.granted(f"{p}/#", qos=1)
    publisher = connect(broker)
    topics = [f"{p}/{leaf}" for leaf in "abc" * 4]
    for number, topic in enumerate(topics):
        publisher.publish(topic, number)
    got = client.messages(len(topics))
    assert [one.topic for one in got] == topics
    aliases = [one.prop("topic_alias") for one in got]
    assert all(alias is None or 1 <= alias <= 2 for alias in aliases)
    assert any(len(one.raw) < len(one.topic) for one in got), "no topic was left out"


def test_the_server_uses_no_alias_unless_allowed(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=1)
    for _ in range(3):
        client.publish(p, "m")
    assert [got.prop("topic_alias") for got in client.messages(3)] == [None] * 3


# Keep-alive and connecting (section 3.1.2.10)


@pytest.mark.parametrize("version", [4, 5])
def test_a_silent_client_is_disconnected_after_one_and_a_half_keep_alives(broker, connect, version):
    started = time.monotonic()
    client = connect(broker, version=version, keep_alive=2)
    if version == 5:
        client.expect_disconnect(0x8D)
    else:
        assert client.expect_closed() == []
    assert 2.9 <= time.monotonic() - started <= 6


@pytest.mark.parametrize("what", ["pingreq", "publish"])
def test_any_packet_keeps_the_connection_alive(broker, connect, p, what, clock):
    client = connect(broker, keep_alive=1)
    for _ in range(4):
        clock(0.8)
        if what == "pingreq":
            client.sync()
        else:
            client.publish(p, "m")


def test_keep_alive_0_turns_it_off(broker, connect, clock):
    client = connect(broker, keep_alive=0)
    clock(3)
    client.sync()


@pytest.mark.parametrize("sent", [b"", b"\x10", b"\x10\x0e\x00\x04MQ"])
def test_a_connection_without_connect_is_closed(broker, dial, sent):
    client = dial(broker)
    client.send(sent)
    client.expect_closed(timeout=10)
