"""Plain publish and subscribe in both versions (MQTT 5.0 sections 3.3, 3.8, 3.10, 4.3, 4.7)."""

import queue
import threading

import paho.mqtt.client as paho
import pytest

import mosquitto
import wire
from raw import payloads

VERSIONS = [4, 5]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
def test_delivered_qos_is_the_lesser_of_published_and_granted(broker, connect, p, version, published, granted):
    client = connect(broker, version=version)
    assert client.granted(p, qos=granted).reasons == [granted]
    client.publish(p, "m", qos=published)
    got = client.message()
    assert (got.topic, got.payload, got.qos) == (p, b"m", min(published, granted))
    assert (got.retain, got.dup) == (False, False)
    client.sync()
    assert client.set_aside() == []


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_clients_publish_and_subscribe(broker, p, version, qos):
    with mosquitto.Sub(broker.port, "-V", version, "-q", qos, "-t", p, "-F", "%t %q %p") as sub:
        mosquitto.pub(broker.port, "-V", version, "-q", qos, "-t", p, "-m", "hello world")
        assert sub.next() == f"{p} {qos} hello world"


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho_publishes_and_subscribes(broker, p, protocol, qos):
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=protocol)
    got, subscribed = queue.Queue(), threading.Event()
    client.on_message = lambda _client, _data, message: got.put(message)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        client.subscribe(p, qos)
        assert subscribed.wait(15)
        for number in range(20):
            client.publish(p, str(number), qos).wait_for_publish(15)
        messages = [got.get(timeout=15) for _ in range(20)]
    finally:
        client.disconnect()
        client.loop_stop()
    assert [(one.topic, one.payload, one.qos) for one in messages] == [(p, str(n).encode(), qos) for n in range(20)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_of_one_publisher_keep_their_order(broker, connect, p, version, qos):
    publisher, subscriber = connect(broker, version=version), connect(broker, version=version)
    subscriber.granted(p, qos=qos)
    for number in range(300):
        publisher.send_publish(p, number, qos=qos)
        if qos == 2:
            packet_id = publisher.expect(wire.PUBREC).packet_id
            publisher.ack(wire.PUBREL, packet_id)
    assert payloads(subscriber.messages(300)) == [str(number) for number in range(300)]


@pytest.mark.parametrize("version", VERSIONS)
def test_publisher_and_subscriber_may_speak_different_versions(broker, connect, p, version):
    publisher, subscriber = connect(broker, version=version), connect(broker, version=9 - version)
    subscriber.granted(p, qos=2)
    publisher.publish(p, "x", qos=2, **({"content_type": "text/plain"} if version == 5 else {}))
    got = subscriber.message()
    assert (got.payload, got.qos, got.properties) == (b"x", 2, [])


@pytest.mark.parametrize("payload", [b"", b"\x00\xff\xfe", "日本".encode(), b"x" * 300_000])
def test_any_payload_arrives_unchanged(broker, connect, p, payload):
    client = connect(broker)
    client.granted(p, qos=1)
    client.publish(p, payload)
    assert client.message().payload == payload


# Filters (section 4.7)

MATCHING = [
    ("{}/a/b", "{}/a/b"),
    ("{}/a/+", "{}/a/b"),
    ("{}/+/b", "{}/a/b"),
    ("+/{n}/a/b", "p/{n}/a/b"),
    ("{}/#", "{}"),
    ("{}/#", "{}/a"),
    ("{}/#", "{}/a/b/c/d"),
    ("{}/+/#", "{}/a"),
    ("{}/+", "{}/"),
    ("{}//+", "{}//x"),
    ("{}/+/+", "{}//"),
    ("{}/é/#", "{}/é/日本"),
    ("{}/a b", "{}/a b"),
    ("{}/A", "{}/A"),
]
NOT_MATCHING = [
    ("{}/a/+", "{}/a"),
    ("{}/a/+", "{}/a/b/c"),
    ("{}/+", "{}"),
    ("{}/a/#", "{}/b"),
    ("{}/a", "{}/a/"),
    ("{}/A", "{}/a"),
    ("{}/ab", "{}/abc"),
]


@pytest.mark.parametrize(("form", "topic"), MATCHING)
def test_filter_matches(broker, connect, name, p, form, topic):
    client = connect(broker)
    client.granted(form.format(p, n=name), qos=1)
    client.publish(topic.format(p, n=name), "m", qos=1)
    assert client.message().topic == topic.format(p, n=name)


@pytest.mark.parametrize(("form", "topic"), NOT_MATCHING)
def test_filter_does_not_match(broker, connect, p, form, topic):
    client = connect(broker)
    client.granted(form.format(p), f"{p}-end", qos=1)
    client.publish(topic.format(p), "m", qos=1)
    client.publish(f"{p}-end", "end", qos=1)
    assert client.until("end") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_wildcard_at_the_start_does_not_match_dollar_topics(broker, connect, name, version):
    client = connect(broker, version=version)
    client.granted("#", "+/" + name, qos=1)
    client.publish(f"$other/{name}", "hidden", qos=1)
    client.publish(f"end/{name}", "end", qos=1)
    assert [got for got in client.until("end") if got.topic.startswith("$")] == []


def test_dollar_topics_are_reached_by_naming_them(broker, connect, name):
    client = connect(broker)
    client.granted(f"$other/{name}/#", qos=1)
    client.publish(f"$other/{name}/x", "m", qos=1)
    assert client.message().topic == f"$other/{name}/x"


BAD_FILTERS = ["a/#/b", "a#", "#a", "a+", "+a/b", "a/b+/c", "##", "a/##", "++"]


@pytest.mark.parametrize("bad", BAD_FILTERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_malformed_filter_is_refused_and_the_others_are_granted(broker, connect, p, version, bad):
    client = connect(broker, version=version)
    suback = client.subscribe(f"{p}/1", bad, f"{p}/2", qos=1)
    assert suback.reasons == [1, 0x8F if version == 5 else 0x80, 1]
    client.publish(f"{p}/2", "m", qos=1)
    assert client.message().topic == f"{p}/2"


def test_suback_answers_each_filter_in_order(broker, connect, p, dial):
    client = connect(broker)
    body = b"".join(wire.text(f"{p}/{qos}") + bytes([qos]) for qos in (2, 0, 1))
    client.send(wire.packet(wire.SUBSCRIBE, 2, b"\x00\x63\x00" + body))
    assert client.expect(wire.SUBACK, 0x63).reasons == [2, 0, 1]


# Overlapping subscriptions (section 3.3.4)


def test_overlapping_subscriptions_give_one_delivery_with_all_identifiers(broker, connect, p):
    client = connect(broker)
    client.granted(f"{p}/#", qos=0, subscription_id=1)
    client.granted(f"{p}/+", qos=2, subscription_id=268_435_455)
    client.granted(f"{p}/x", qos=1)
    client.publish(f"{p}/x", "m", qos=2)
    client.publish(f"{p}/end", "end", qos=2)
    (got,) = client.until("end")
    assert sorted(got.subscription_ids) == [1, 268_435_455]
    assert got.qos == 2


def test_subscription_identifier_comes_with_the_message_and_is_replaced_by_resubscribing(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=1, subscription_id=7)
    client.publish(p, "a")
    assert client.message().subscription_ids == [7]
    client.granted(p, qos=1, subscription_id=8)
    client.publish(p, "b")
    assert client.message().subscription_ids == [8]
    client.granted(p, qos=1)
    client.publish(p, "c")
    assert client.message().subscription_ids == []


def test_subscribing_again_replaces_the_granted_qos(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=2)
    client.granted(p, qos=0)
    client.publish(p, "m", qos=2)
    client.publish(p, "end", qos=2)
    (got,) = client.until("end")
    assert got.qos == 0


# No Local (section 3.8.3.1)


def test_no_local_keeps_own_messages_away_and_lets_others_through(broker, connect, p):
    client, other = connect(broker), connect(broker)
    client.granted(p, qos=1, no_local=True)
    client.publish(p, "own")
    other.publish(p, "other")
    assert client.message().payload == b"other"


def test_own_messages_come_back_without_no_local(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=1)
    client.publish(p, "own")
    assert client.message().payload == b"own"


# UNSUBSCRIBE (section 3.10)


def test_unsubscribe_ends_delivery_and_tells_what_existed(broker, connect, p):
    client = connect(broker)
    client.granted(f"{p}/a", f"{p}/end", qos=1)
    assert client.unsubscribe(f"{p}/a", f"{p}/never").reasons == [0x00, 0x11]
    client.publish(f"{p}/a", "m")
    client.publish(f"{p}/end", "end")
    assert client.until("end") == []


def test_unsuback_of_a_3_1_1_client_has_no_reasons(broker, connect, p):
    client = connect(broker, version=4)
    client.granted(p)
    assert client.unsubscribe(p).raw[2:] == b""


# QoS 2 (section 4.3.3)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_qos_2_publish_sent_twice_is_delivered_once(broker, connect, p, version):
    client = connect(broker, version=version)
    client.granted(p, qos=2)
    client.send_publish(p, "m", qos=2, packet_id=100)
    client.expect(wire.PUBREC, 100)
    client.send_publish(p, "m", qos=2, packet_id=100, dup=True)
    client.expect(wire.PUBREC, 100)
    client.ack(wire.PUBREL, 100)
    client.expect(wire.PUBCOMP, 100)
    client.publish(p, "end", qos=2)
    assert payloads(client.until("end")) == ["m"]


def test_a_qos_2_packet_identifier_is_free_again_after_pubcomp(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=2)
    for payload in ("1", "2"):
        client.publish(p, payload, qos=2, packet_id=100)
    assert payloads(client.messages(2)) == ["1", "2"]


def test_pubrel_of_an_unknown_packet_identifier_is_answered(broker, connect):
    client = connect(broker)
    client.ack(wire.PUBREL, 4242)
    assert client.expect(wire.PUBCOMP, 4242).reason == 0x92
    old = connect(broker, version=4)
    old.ack(wire.PUBREL, 4242)
    old.expect(wire.PUBCOMP, 4242)


@pytest.mark.parametrize("version", VERSIONS)
def test_delivery_of_qos_2_is_a_four_packet_handshake(broker, connect, p, version):
    client = connect(broker, version=version, auto_ack=False)
    client.granted(p, qos=2)
    client.send_publish(p, "m", qos=2, packet_id=9)
    client.expect(wire.PUBREC, 9)
    client.ack(wire.PUBREL, 9)
    client.expect(wire.PUBCOMP, 9)
    got = client.message()
    client.ack(wire.PUBREC, got.packet_id)
    assert client.expect(wire.PUBREL).packet_id == got.packet_id
    client.ack(wire.PUBCOMP, got.packet_id)
    client.sync()


# Request, response, and other properties that pass through (sections 3.3.2.3 and 4.10)


def test_properties_pass_unaltered_and_user_properties_in_order(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=1)
    sent = {
        "payload_format": 1,
        "content_type": "application/json",
        "response_topic": f"{p}/answer",
        "correlation_data": b"\x00\x01\xff",
        "user": [("b", "2"), ("a", "1"), ("b", "2"), ("", "")],
    }
    client.publish(p, "{}", **sent)
    got = client.message()
    assert got.user == sent["user"]
    for name in ("payload_format", "content_type", "response_topic", "correlation_data"):
        assert got.prop(name) == sent[name], name
    assert {name for name, _ in got.properties} <= {*sent}


def test_request_and_response(broker, connect, p):
    asker, server = connect(broker), connect(broker)
    server.granted(f"{p}/ask", qos=1)
    asker.granted(f"{p}/answer", qos=1)
    asker.publish(f"{p}/ask", "2+2", response_topic=f"{p}/answer", correlation_data=b"#1")
    question = server.message()
    server.publish(question.prop("response_topic"), "4", correlation_data=question.prop("correlation_data"))
    answer = asker.message()
    assert (answer.payload, answer.prop("correlation_data")) == (b"4", b"#1")


def test_no_matching_subscribers_is_success_or_its_own_code(broker, connect, p):
    assert connect(broker).publish(p, "m", qos=1).reason in (0x00, 0x10)
    assert connect(broker).publish(p, "m", qos=2).reason in (0x00, 0x10)
