"""What is stored, what the publisher is told, and that a refused event reaches nobody."""

import pytest

import wire
from raw import payloads, places, sequences

BROKER = {
    "config": {
        "store": {
            "rules": [
                {"filters": ["s/#", "t/+/x"], "exclude": ["s/+/no/#", "s/+/+/secret"]},
                {"filters": ["s/+/no/but"]},
            ]
        }
    }
}


def stored(connect, broker, topic):
    """All events of a filter, by a client of its own, up to now."""
    reader, writer = connect(broker), connect(broker)
    reader.replay("first", topic)
    leaf = topic.removesuffix("/#")
    writer.publish(leaf, "the end", user=[("store", "true")])
    return reader.until("the end")


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", [4, 5])
def test_a_rule_stores_every_qos(broker, connect, s, qos, version):
    client = connect(broker, version=version)
    client.publish(s, "m", qos=qos)
    client.sync()
    (got,) = stored(connect, broker, s)
    assert (got.payload, got.seq, got.qos) == (b"m", 1, min(qos, 1))


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("s/{}", True),
        ("s/{}/a/b", True),
        ("t/{}/x", True),
        ("t/{}/y", False),
        ("s/{}/no", False),
        ("s/{}/no/a", False),
        ("s/{}/a/secret", False),
        ("s/{}/no/but", True),
        ("u/{}", False),
    ],
)
def test_rules_and_exclusions_decide_by_the_topic(broker, connect, name, topic, kept):
    ack = connect(broker).publish(topic.format(name), "m", qos=1)
    assert ack.reason in (0x00, 0x10)
    assert ack.user == ([("es-seq", "1")] if kept else [])


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_store_true_stores_what_no_rule_covers(broker, connect, p, qos):
    client = connect(broker)
    client.publish(p, "not kept", qos=1)
    client.publish(p, "kept", qos=qos, user=[("store", "true")])
    client.sync()
    (got,) = stored(connect, broker, p)
    assert (got.payload, got.seq) == (b"kept", 1)
    assert got.user[0] == ("store", "true")


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_store_false_does_not_unstore_what_a_rule_stores(broker, connect, s, qos):
    client = connect(broker)
    client.publish(s, "kept", qos=qos, user=[("store", "false")])
    client.sync()
    assert payloads(stored(connect, broker, s)) == ["kept"]


def test_store_false_is_live_only_where_no_rule_covers(broker, connect, p):
    client = connect(broker)
    client.granted(p, qos=1)
    assert client.publish(p, "live", user=[("store", "false")]).user == []
    assert client.message().payload == b"live"
    assert stored(connect, broker, p) == []


@pytest.mark.parametrize("value", ["", "yes", "TRUE", "1", "true ", "maybe"])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("prefix", ["s", "p"])
def test_any_other_store_value_is_refused_and_nothing_is_forwarded(broker, connect, name, prefix, qos, value):
    topic = f"{prefix}/{name}"
    client = connect(broker)
    client.granted(topic, qos=2)
    ack = client.publish(topic, "refused", qos=qos, user=[("store", value)])
    assert ack.kind == (wire.PUBACK if qos == 1 else wire.PUBREC)
    assert ack.reason == 0x83
    assert "store" in ack.prop("reason_string")
    assert ack.user_value("es-seq") is None
    client.publish(topic, "end", qos=qos, user=[("store", "true")])
    assert client.until("end") == []
    assert payloads(stored(connect, broker, topic)) == ["end"]


def test_any_other_store_value_is_dropped_and_counted_at_qos_0(broker, connect, s):
    client = connect(broker)
    client.granted(s, qos=1)
    before = broker.metrics().total("rewindmq_dropped_total", reason="invalid_store_property")
    client.publish(s, "refused", qos=0, user=[("store", "maybe")])
    client.publish(s, "end", qos=1)
    assert client.until("end") == []
    assert broker.metrics().total("rewindmq_dropped_total", reason="invalid_store_property") == before + 1


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_3_1_1_stores_by_the_topic_prefix(broker, connect, p, qos):
    watcher = connect(broker)
    watcher.granted(f"{p}/#", "$store/#", qos=2)
    client = connect(broker, version=4)
    client.publish(f"$store/{p}/a", "kept", qos=qos)
    client.publish(f"{p}/a", "not kept", qos=1)
    got = watcher.messages(2)
    assert [(one.topic, one.payload) for one in got] == [(f"{p}/a", b"kept"), (f"{p}/a", b"not kept")]
    assert [one.payload for one in stored(connect, broker, f"{p}/a")] == [b"kept"]


def test_3_1_1_store_prefix_with_retain_retains_the_bare_topic(broker, connect, p):
    connect(broker, version=4).publish(f"$store/{p}", "kept", retain=True)
    client = connect(broker)
    client.granted(p, qos=1)
    got = client.message()
    assert (got.topic, got.payload, got.retain) == (p, b"kept", True)


@pytest.mark.parametrize("topic", ["$other/{}", "$/{}"])
def test_topics_that_begin_with_a_dollar_are_never_stored(broker, connect, name, topic):
    topic = topic.format(name)
    client, reader = connect(broker), connect(broker)
    reader.replay("first", topic)
    assert client.publish(topic, "m", user=[("store", "true")]).user_value("es-seq") is None
    client.publish(topic, "plain")
    late = connect(broker)
    late.replay("first", topic)
    client.publish(topic, "end")
    assert late.until("end") == []
    assert all(one.seq is None for one in reader.until("end"))


def test_a_rule_for_everything_leaves_dollar_topics_out(brokers, connect):
    everything = brokers(store=["#"])
    client = connect(everything)
    assert client.publish("$x/y", "m").user == []
    assert client.publish("/y", "m").user == [("es-seq", "1")]


def test_an_empty_payload_is_stored_and_clears_the_retained_message(broker, connect, s):
    client = connect(broker)
    client.publish(s, "kept", retain=True)
    client.publish(s, b"", retain=True)
    client.publish(s, b"")
    late = connect(broker)
    late.granted(s, qos=1)
    client.publish(s, "end")
    assert late.until("end") == []
    assert [got.payload for got in stored(connect, broker, s)] == [b"kept", b"", b"", b"end"]


def test_wills_are_stored(broker, connect, s, p):
    watcher = connect(broker)
    watcher.granted(s, p, qos=1)
    connect(broker, will={"topic": s, "payload": b"by rule", "qos": 0}).drop()
    watcher.message()
    asked = {"topic": p, "payload": b"asked", "qos": 1, "properties": [("user", ("store", "true"))]}
    connect(broker, will=asked).drop()
    watcher.message()
    assert [(got.payload, got.seq) for got in stored(connect, broker, s)] == [(b"by rule", 1)]
    assert [(got.payload, got.seq) for got in stored(connect, broker, p)] == [(b"asked", 1)]


# What the publisher is told


@pytest.mark.parametrize("qos", [1, 2])
def test_the_acknowledgement_tells_the_sequence_of_the_channel(broker, connect, s, qos):
    client = connect(broker)
    for number in range(1, 4):
        for leaf in "ab":
            ack = client.publish(f"{s}/{leaf}", "m", qos=qos)
            assert ack.reason in (0x00, 0x10)
            assert ack.user == [("es-seq", str(number))]


@pytest.mark.parametrize("qos", [1, 2])
def test_the_sequence_is_left_out_without_problem_information(broker, connect, s, qos):
    client = connect(broker, request_problem_information=0)
    assert client.publish(s, "m", qos=qos).properties == []
    refused = client.publish(s, "m", qos=qos, user=[("store", "no")])
    assert (refused.reason, refused.properties) == (0x83, [])


def test_sequences_come_in_the_order_of_publishing(broker, connect, s):
    client = connect(broker)
    acks = client.publish_all((s, number) for number in range(200))
    assert [ack.user_value("es-seq") for ack in acks] == [str(number) for number in range(1, 201)]
    assert [(got.seq, got.payload) for got in stored(connect, broker, s)] == [
        (number + 1, str(number).encode()) for number in range(200)
    ]


def test_pubacks_come_in_the_order_of_the_publishes(broker, connect, s, p):
    client = connect(broker)
    ids = [client.send_publish(s if number % 3 else p, number, qos=1) for number in range(90)]
    client.sync()
    client.sync()
    found = [client.expect(wire.PUBACK).packet_id for _ in ids]
    assert found == ids  # [MQTT-4.6.0-2]


def test_sequences_go_on_after_a_restart(brokers, connect):
    one = brokers(store=["s/#"])
    connect(one).publish("s/a", "1")
    connect(one).publish("s/a", "2")
    one.restart()
    assert connect(one).publish("s/a", "3").user == [("es-seq", "3")]
    one.crash()
    assert connect(one).publish("s/a", "4").user == [("es-seq", "4")]
    client = connect(one)
    client.replay("first", "s/#")
    got = client.messages(4)
    assert places(got) == [("s/a", number) for number in range(1, 5)]
    assert payloads(got) == ["1", "2", "3", "4"]


def test_a_qos_2_event_sent_twice_is_stored_once(broker, connect, s):
    client = connect(broker)
    client.send_publish(s, "m", qos=2, packet_id=50)
    client.expect(wire.PUBREC, 50)
    client.send_publish(s, "m", qos=2, packet_id=50, dup=True)
    client.expect(wire.PUBREC, 50)
    client.ack(wire.PUBREL, 50)
    client.expect(wire.PUBCOMP, 50)
    assert payloads(stored(connect, broker, s)) == ["m"]


def test_by_default_nothing_is_stored_unless_asked(brokers, connect):
    one = brokers()
    client = connect(one)
    assert client.publish("a", "m").user == []
    assert client.publish("a", "m", user=[("store", "true")]).user == [("es-seq", "1")]
    assert sequences(stored(connect, one, "a")) == [1]


def test_storing_without_a_rule_can_be_forbidden(brokers, connect):
    one = brokers(config={"store": {"allow_publisher_store": False, "rules": [{"filters": ["s/#"]}]}})
    client = connect(one)
    client.granted("#", qos=1)
    assert client.publish("a", "refused", user=[("store", "true")]).reason == 0x83
    assert client.publish("s/a", "by rule", user=[("store", "true")]).user == [("es-seq", "1")]
    assert client.message().payload == b"by rule"


# A full store


@pytest.fixture
def full(brokers, connect):
    """A broker whose store takes no further event of 64 KiB, and how many it took."""
    one = brokers(config={"store": {"max_bytes": "1MiB", "rules": [{"filters": ["s/#"]}]}})
    client = connect(one)
    for count in range(200):
        ack = client.publish("s/fill", b"x" * 65_536)
        if ack.reason >= 0x80:
            assert ack.reason == 0x97
            return one, count
    raise AssertionError("the store never became full")


@pytest.mark.parametrize("qos", [1, 2])
def test_a_full_store_refuses_with_quota_exceeded_and_a_reason(full, connect, qos):
    one, count = full
    assert count >= 1
    client = connect(one)
    client.granted("#", qos=1)
    ack = client.publish("s/fill", b"y" * 65_536, qos=qos)
    assert ack.reason == 0x97
    assert ack.prop("reason_string")
    assert ack.user_value("es-seq") is None
    client.publish("live", "end")
    assert client.until("end") == []


def test_a_refused_event_is_neither_retained_nor_replayed(full, connect):
    one, count = full
    client = connect(one)
    assert client.publish("s/other", b"y" * 65_536, retain=True).reason == 0x97
    late = connect(one)
    late.granted("s/other", "live", qos=1)
    client.publish("live", "end")
    assert late.until("end") == []
    reader = connect(one)
    reader.replay("first", "s/#")
    assert sequences(reader.messages(count)) == list(range(1, count + 1))
    reader.sync()
    assert reader.set_aside() == []


@pytest.mark.parametrize("qos", [1, 2])
def test_a_full_store_closes_a_3_1_1_connection_without_acknowledgement(full, connect, qos):
    one, _ = full
    watcher = connect(one)
    watcher.granted("#", qos=1)
    client = connect(one, version=4)
    client.send_publish("s/fill", b"y" * 65_536, qos=qos)
    assert client.expect_closed() == []
    watcher.publish("live", "end")
    assert watcher.until("end") == []


def test_a_full_store_drops_and_counts_qos_0(full, connect):
    one, _ = full
    client = connect(one)
    client.granted("#", qos=1)
    before = one.metrics().total("rewindmq_dropped_total", reason="store_refused")
    client.publish("s/fill", b"y" * 65_536, qos=0)
    client.sync()
    one.wait_metrics(lambda now: now.total("rewindmq_dropped_total", reason="store_refused") > before)
    client.publish("live", "end")
    assert client.until("end") == []
