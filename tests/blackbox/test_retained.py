"""Retained messages, Retain Handling and Retain As Published (MQTT 5.0 sections 3.3.1.3 and 3.8.3.1)."""

import pytest

import mosquitto
from raw import payloads

VERSIONS = [4, 5]


@pytest.mark.parametrize("version", VERSIONS)
def test_new_subscription_gets_the_retained_message_with_retain_set(broker, connect, p, version):
    client = connect(broker, version=version)
    client.publish(p, "old", retain=True)
    client.publish(p, "kept", retain=True)
    client.granted(p, qos=1)
    got = client.message()
    assert (got.topic, got.payload, got.retain, got.qos) == (p, b"kept", True, 1)


def test_retained_message_comes_once_per_matching_topic_of_a_wildcard(broker, connect, p):
    client = connect(broker)
    for leaf in "abc":
        client.publish(f"{p}/{leaf}", leaf, retain=True)
    client.granted(f"{p}/+", qos=1)
    client.publish(f"{p}/end", "end")
    assert sorted(payloads(client.until("end"))) == ["a", "b", "c"]


@pytest.mark.parametrize("version", VERSIONS)
def test_live_delivery_has_retain_clear(broker, connect, p, version):
    client = connect(broker, version=version)
    client.granted(p, qos=1)
    client.publish(p, "live", retain=True)
    assert client.message().retain is False


@pytest.mark.parametrize("retain", [False, True])
def test_retain_as_published_keeps_the_flag_of_a_live_message(broker, connect, p, retain):
    client = connect(broker)
    client.granted(p, qos=1, as_published=True)
    client.publish(p, "live", retain=retain)
    assert client.message().retain is retain


def test_a_message_without_retain_leaves_the_retained_one(broker, connect, p):
    client = connect(broker)
    client.publish(p, "kept", retain=True)
    client.publish(p, "passing")
    client.granted(p, qos=1)
    assert client.message().payload == b"kept"


@pytest.mark.parametrize("version", VERSIONS)
def test_empty_payload_clears_the_retained_message_and_is_delivered(broker, connect, p, version):
    client = connect(broker, version=version)
    watcher = connect(broker, version=version)
    watcher.granted(p, qos=1)
    client.publish(p, "kept", retain=True)
    client.publish(p, b"", retain=True)
    assert [got.payload for got in watcher.messages(2)] == [b"kept", b""]
    client.granted(p, qos=1)
    client.publish(p, "end")
    assert client.until("end") == []


@pytest.mark.parametrize(("handling", "again"), [(0, ["kept"]), (1, []), (2, [])])
def test_retain_handling_at_a_second_subscribe(broker, connect, p, handling, again):
    client = connect(broker)
    client.publish(p, "kept", retain=True)
    client.granted(p, qos=1, retain_handling=2)
    client.granted(p, qos=1, retain_handling=handling)
    client.publish(p, "end")
    assert payloads(client.until("end")) == again


@pytest.mark.parametrize(("handling", "first"), [(0, ["kept"]), (1, ["kept"]), (2, [])])
def test_retain_handling_at_a_new_subscription(broker, connect, p, handling, first):
    client = connect(broker)
    client.publish(p, "kept", retain=True)
    client.granted(p, qos=1, retain_handling=handling)
    client.publish(p, "end")
    assert payloads(client.until("end")) == first


def test_retain_handling_1_counts_the_subscription_of_a_resumed_session_as_existing(broker, connect, p, name):
    client = connect(broker, name, session_expiry=100)
    client.granted(p, qos=1)
    client.disconnect()
    connect(broker).publish(p, "kept", retain=True)
    client = connect(broker, name, clean=False, session_expiry=100)
    assert client.message().payload == b"kept"
    client.granted(p, qos=1, retain_handling=1)
    client.publish(p, "end")
    assert client.until("end") == []


def test_3_1_1_gets_the_retained_message_at_every_subscribe(broker, connect, p):
    client = connect(broker, version=4)
    client.publish(p, "kept", retain=True)
    for _ in range(2):
        client.granted(p, qos=1)
        assert client.message().retain is True


@pytest.mark.parametrize(("published", "granted"), [(0, 1), (2, 1), (1, 0), (2, 2)])
def test_retained_message_has_the_lesser_qos(broker, connect, p, published, granted):
    client = connect(broker)
    client.publish(p, "kept", qos=published, retain=True)
    client.granted(p, qos=granted)
    assert client.message().qos == min(published, granted)


def test_retained_message_keeps_its_properties(broker, connect, p):
    client = connect(broker)
    client.publish(p, "kept", retain=True, content_type="t", correlation_data=b"c", user=[("k", "v"), ("k", "w")])
    client.granted(p, qos=1, subscription_id=5)
    got = client.message()
    assert (got.prop("content_type"), got.prop("correlation_data")) == ("t", b"c")
    assert got.user == [("k", "v"), ("k", "w")]
    assert got.subscription_ids == [5]


def test_retained_message_expires_and_tells_what_is_left(broker, connect, p, clock):
    client = connect(broker)
    client.publish(f"{p}/short", "short", retain=True, message_expiry=1)
    client.publish(f"{p}/long", "long", retain=True, message_expiry=100)
    clock(2)
    client.granted(f"{p}/#", qos=1)
    client.publish(f"{p}/end", "end")
    (got,) = client.until("end")
    assert got.payload == b"long"
    assert 80 <= got.prop("message_expiry") <= 98


def test_shared_subscription_gets_no_retained_message(broker, connect, p, name):
    client = connect(broker)
    client.publish(p, "kept", retain=True)
    client.granted(f"$share/{name}/{p}", qos=1)
    client.publish(p, "end")
    assert client.until("end") == []


def test_no_local_does_not_hold_for_retained_messages_of_others(broker, connect, p):
    connect(broker).publish(p, "kept", retain=True)
    client = connect(broker)
    client.granted(p, qos=1, no_local=True)
    assert client.message().payload == b"kept"


def test_mosquitto_sub_prints_retained_only(broker, p):
    mosquitto.pub(broker.port, "-q", "1", "-r", "-t", p, "-m", "kept")
    assert mosquitto.sub(broker.port, "-t", p, "-C", "1", "-F", "%r %p") == ["1 kept"]
