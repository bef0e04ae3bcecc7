"""Retained messages over restarts and kill -9 (MQTT 5.0 section 3.3.1.3)."""

import pytest

from raw import payloads

VERSIONS = [4, 5]
WAYS = ["restart", "crash"]


@pytest.fixture
def one(brokers):
    """A broker that stores `s/#`."""
    return brokers(store=["s/#"])


def retained(connect, one, *filters, qos=2):
    """What a new subscriber is sent: topic and payload of each retained message, by topic."""
    client, writer = connect(one), connect(one)
    client.granted(*filters, "marker", qos=qos)
    writer.publish("marker", "end")
    got = client.until("end")
    assert all(message.retain for message in got), got
    return sorted((message.topic, message.payload.decode()) for message in got)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_acknowledged_last_is_retained(one, connect, over, version, qos, way):
    writer = connect(one, version=version)
    for topic in ("p/a", "s/a"):
        writer.publish(topic, "old", qos=qos, retain=True)
        writer.publish(topic, "kept", qos=qos, retain=True)
        writer.publish(topic, "passing", qos=qos)
    over(one, way)
    assert retained(connect, one, "p/#", "s/#") == [("p/a", "kept"), ("s/a", "kept")]
    client = connect(one, version=version)
    client.granted("#", qos=2)
    assert [got.qos for got in client.messages(2)] == [qos, qos]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_qos_is_retained_over_an_orderly_stop(one, connect, qos):
    writer = connect(one)
    writer.publish("p/a", "old", qos=1, retain=True)
    writer.publish("p/a", "kept", qos=qos, retain=True)
    writer.sync()
    one.restart()
    client = connect(one)
    client.granted("p/a", qos=2)
    got = client.message()
    assert (got.payload, got.qos, got.retain) == (b"kept", qos, True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_cleared_stays_cleared(one, connect, over, version, qos, way):
    writer = connect(one, version=version)
    for topic in ("p/a", "s/a", "p/left"):
        writer.publish(topic, "kept", retain=True)
    over(one, way)
    writer = connect(one, version=version)
    for topic in ("p/a", "s/a"):
        writer.publish(topic, b"", qos=qos, retain=True)
    over(one, way)
    assert retained(connect, one, "p/#", "s/#") == [("p/left", "kept")]
    one.wait_metrics(lambda now: now.total("rewindmq_retained_messages") == 1)


def test_what_was_cleared_at_qos_0_stays_cleared_over_an_orderly_stop(one, connect):
    writer = connect(one)
    writer.publish("p/a", "kept", retain=True)
    writer.publish("p/a", b"", qos=0, retain=True)
    writer.sync()
    one.restart()
    assert retained(connect, one, "p/#") == []


@pytest.mark.parametrize("way", WAYS)
def test_many_topics_long_ones_and_odd_ones(one, connect, over, way):
    long = ["p/" + "x" * 480 + tail for tail in ("a", "b")] + ["p/" + "y" * 60_000]
    topics = ["p", "p/", "p//", "p/ä/日本", "p/a.b>*", "$p/a"] + long + [f"p/{number}" for number in range(300)]
    writer = connect(one)
    for number, topic in enumerate(topics):
        writer.publish(topic, number, retain=True)
    over(one, way)
    wanted = sorted((topic, str(number)) for number, topic in enumerate(topics))
    assert retained(connect, one, "p/#", "$p/#") == wanted


@pytest.mark.parametrize("way", WAYS)
def test_properties_live_on(one, connect, over, way):
    properties = {"payload_format": 1, "content_type": "t", "response_topic": "r", "correlation_data": b"c"}
    user = [("b", "1"), ("a", "2")]
    connect(one).publish("p/a", "kept", retain=True, user=user, **properties)
    over(one, way)
    client = connect(one)
    client.granted("p/a", qos=1, subscription_id=5)
    got = client.message()
    assert {name: got.prop(name) for name in properties} == properties
    assert (got.user, got.subscription_ids) == (user, [5])


@pytest.mark.parametrize("way", WAYS)
def test_message_expiry_runs_on_while_the_broker_is_down(one, connect, over, way):
    writer = connect(one)
    for prefix in ("p", "s"):
        writer.publish(f"{prefix}/short", "short", retain=True, message_expiry=1)
        writer.publish(f"{prefix}/long", "long", retain=True, message_expiry=100)
    over(one, way, down=2)
    client = connect(one)
    client.granted("p/#", "s/#", qos=1)
    client.publish("p/end", "end")
    got = client.until("end")
    assert sorted(message.topic for message in got) == ["p/long", "s/long"]
    assert all(60 <= message.prop("message_expiry") <= 98 for message in got)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_a_retained_will_is_retained(one, connect, over, version, way):
    watcher = connect(one)
    watcher.granted("p/#", "s/#", qos=1)
    for topic in ("p/will", "s/will"):
        will = {"topic": topic, "payload": "gone", "qos": 1, "retain": True}
        connect(one, version=version, will=will).drop()
        watcher.message()
    # Nobody was told that the wills are on disk; what is acknowledged after them says so.
    connect(one).publish("s/a", "behind them")
    over(one, way)
    assert retained(connect, one, "p/#", "s/#") == [("p/will", "gone"), ("s/will", "gone")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_a_durable_subscriber_gets_a_retained_publish_once(one, connect, durable, back, over, version, way):
    client = durable(one, "me", version)
    client.granted("p/#", qos=1)
    client.disconnect()
    connect(one).publish("p/a", "m", retain=True)
    over(one, way)
    client = back(one, "me", version)
    connect(one).publish("p/end", "end")
    (got,) = client.until("end")
    assert (got.payload, got.retain) == (b"m", False)


@pytest.mark.parametrize("way", WAYS)
def test_retain_handling_1_knows_the_subscriptions_of_a_resumed_session(one, connect, durable, back, over, way):
    durable(one, "me").granted("p/known", qos=1)
    connect(one).publish("p/new", "new", retain=True)
    connect(one, "clearing").publish("p/known", "known", retain=True)
    over(one, way)
    client = back(one, "me")
    client.granted("p/known", "p/new", qos=1, retain_handling=1)
    connect(one).publish("p/known", "end")
    got = client.until("end")
    assert [message.payload for message in got if message.retain] == [b"new"]


@pytest.mark.parametrize("way", WAYS)
def test_a_publish_after_the_restart_replaces_what_was_retained(one, connect, over, way):
    connect(one).publish("p/a", "old", retain=True)
    over(one, way)
    watcher = connect(one)
    watcher.granted("p/a", qos=1)
    assert payloads(watcher.messages(1)) == ["old"]
    connect(one).publish("p/a", "new", retain=True)
    over(one, way)
    assert retained(connect, one, "p/#") == [("p/a", "new")]
