"""What a replay subscription delivers, in which order and in which form."""

import pytest

from raw import payloads, places, sequences

# Channels (topic and channel names)

CHANNELS = [
    ("a.b/c", "a%2Eb.c"),
    ("x//y", "x.%-.y"),
    ("x/", "x.%-"),
    ("100%/x", "100%25.x"),
    ("a b\tc", "a%20b%09c"),
    ("st*r>", "st%2Ar%3E"),
    ("é/日本", "é.日本"),
    ("nb\u00a0sp", "nb%C2%A0sp"),
    ("%-", "%25-"),
    ("$in/side", "$in.side"),
]


@pytest.mark.parametrize(("topic", "channel"), CHANNELS)
def test_channel_text_of_a_topic(broker, connect, s, name, topic, channel):
    client = connect(broker)
    client.publish(f"{s}/{topic}", "m")
    client.replay("first", f"{s}/#")
    got = client.message()
    assert got.topic == f"{s}/{topic}"
    assert got.user_value("es-channel") == f"s.{name}.{channel}"


def test_channel_text_of_a_leading_empty_level(broker, connect, name):
    client = connect(broker)
    client.publish(f"/{name}", "m", user=[("store", "true")])
    client.replay("first", f"/{name}")
    assert client.message().user_value("es-channel") == f"%-.{name}"


# Properties


def test_store_properties_come_after_the_publishers_in_order(broker, connect, s):
    sent = [("b", "2"), ("a", "1"), ("b", "2")]
    client = connect(broker)
    client.replay("new", s)
    client.publish(s, "m", user=sent, content_type="t", response_topic="r", correlation_data=b"c", payload_format=1)
    got = client.message()
    assert [key for key, _ in got.user] == ["b", "a", "b", "es-seq", "es-time", "es-channel"]
    assert got.user[:3] == sent
    assert got.seq == 1
    for key, value in (("content_type", "t"), ("response_topic", "r"), ("correlation_data", b"c")):
        assert got.prop(key) == value
    assert got.prop("payload_format") == 1


@pytest.mark.parametrize("start", ["first", "new"])
def test_store_properties_that_a_publisher_sent_are_left_out(broker, connect, s, start):
    forged = [("es-seq", "99"), ("mine", "1"), ("es-time", "5"), ("es-channel", "x"), ("es-redelivered", "true")]
    client, reader = connect(broker), connect(broker)
    if start == "new":
        reader.replay("new", s)
    client.publish(s, "m", user=[*forged, ("es-other", "stays")])
    if start == "first":
        reader.replay("first", s)
    got = reader.message()
    assert [key for key, _ in got.user] == ["mine", "es-other", "es-seq", "es-time", "es-channel"]
    assert got.seq == 1
    assert not got.redelivered


def test_plain_subscriptions_get_the_publishers_properties_only(broker, connect, s):
    client = connect(broker)
    client.granted(s, qos=1)
    client.publish(s, "m", user=[("es-seq", "99"), ("mine", "1")])
    assert client.message().user == [("es-seq", "99"), ("mine", "1")]


def test_live_events_of_a_replay_subscription_have_store_properties_too(broker, connect, s):
    client = connect(broker)
    client.replay("first", s)
    client.publish(s, "1")
    client.publish(s, "2")
    got = client.messages(2)
    assert sequences(got) == [1, 2]
    assert got[0].time_ns <= got[1].time_ns


def test_live_messages_that_are_not_stored_are_delivered_too(broker, connect, name):
    client = connect(broker)
    client.replay("first", f"+/{name}")
    client.publish(f"s/{name}", "stored")
    client.publish(f"p/{name}", "not stored", user=[("k", "v")])
    got = sorted(client.messages(2), key=lambda one: one.topic)
    assert places(got) == [(f"p/{name}", None), (f"s/{name}", 1)]
    assert got[0].user == [("k", "v")]


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("version", [4, 5])
def test_replayed_qos_is_the_lesser_of_published_and_granted(broker, connect, s, version, published, granted):
    client = connect(broker, version=version)
    client.publish(s, "m", qos=published)
    client.sync()
    client.replay("first", s, qos=granted)
    got = client.message()
    assert (got.qos, got.dup, got.topic, got.payload) == (min(published, granted), False, s, b"m")
    client.publish(s, "end", qos=2)
    assert client.until("end") == []


def test_subscription_identifier_comes_with_a_replay(broker, connect, s):
    client = connect(broker)
    client.publish(s, "m")
    client.replay("first", s, subscription_id=1234)
    assert client.message().subscription_ids == [1234]


# Retained messages


def test_replayed_events_have_retain_clear_and_retained_copies_come_before_them(broker, connect, s):
    client = connect(broker)
    client.publish(f"{s}/a", "1", retain=True)
    client.publish(f"{s}/b", "2")
    client.publish(f"{s}/a", "3", retain=True)
    client.replay("first", f"{s}/#")
    client.publish(f"{s}/b", "end")
    got = client.until("end")
    assert [(one.payload, one.retain) for one in got] == [(b"3", True), (b"1", False), (b"2", False), (b"3", False)]


def test_retain_handling_2_keeps_retained_copies_away_from_a_replay(broker, connect, s):
    client = connect(broker)
    client.publish(s, "1", retain=True)
    client.replay("first", s, retain_handling=2)
    client.publish(s, "end")
    got = client.until("end")
    assert [(one.payload, one.retain, one.seq) for one in got] == [(b"1", False, 1)]


def test_a_retained_copy_does_not_move_the_cursor(broker, connect, s, name):
    writer = connect(broker)
    writer.publish(s, "1")
    writer.publish(s, "2", retain=True)
    client = connect(broker, name, auto_ack=False)
    client.replay("first", s)
    copy = client.message()
    assert (copy.payload, copy.retain) == (b"2", True)
    client.puback(copy)
    client.sync()
    client.disconnect()
    client = connect(broker, name)
    client.replay("first", s, retain_handling=2)
    writer.publish(s, "end")
    assert payloads(client.until("end")) == ["1", "2"]


# Order and completeness


def test_order_is_commit_order_across_channels(broker, connect, s):
    writer = connect(broker)
    sent = [(f"{s}/{number * 7 % 10}", number) for number in range(100)]
    for topic, number in sent:
        writer.publish(topic, number)
    reader = connect(broker)
    reader.replay("first", f"{s}/#")
    got = reader.messages(100)
    assert [(one.topic, int(one.payload)) for one in got] == sent
    times = [one.time_ns for one in got]
    assert times == sorted(times)


@pytest.mark.parametrize("start", ["first", "last", "seq:3", "new", "delta:1h", "time:2200-01-01T00:00:00Z"])
def test_channels_born_later_are_included_from_their_first_event(broker, connect, s, start):
    client = connect(broker)
    client.replay(start, f"{s}/+")
    client.publish(f"{s}/late", "1")
    client.publish(f"{s}/late", "2")
    assert places(client.messages(2)) == [(f"{s}/late", 1), (f"{s}/late", 2)]


@pytest.mark.parametrize("start", ["seq:100", "time:2200-01-01T00:00:00Z"])
def test_a_start_beyond_the_end_behaves_like_new(broker, connect, s, start):
    client = connect(broker)
    client.publish(s, "past")
    client.replay(start, s)
    client.publish(s, "2")
    client.publish(s, "3")
    assert sequences(client.messages(2)) == [2, 3]


def test_a_large_backlog_comes_whole_and_in_order(broker, connect, s):
    writer = connect(broker)
    writer.publish_all((f"{s}/{number % 3}", number) for number in range(3000))
    for qos in (0, 1, 2):
        reader = connect(broker, receive_maximum=50)
        reader.replay("first", f"{s}/#", qos=qos)
        assert payloads(reader.messages(3000)) == [str(number) for number in range(3000)]
        reader.disconnect()


def test_overlapping_replay_filters_deliver_one_copy_each_with_its_own_identifier(broker, connect, s):
    client = connect(broker)
    client.publish(f"{s}/a", "1")
    client.publish(f"{s}/b", "2")
    client.replay("first", f"{s}/#", subscription_id=1)
    client.replay("first", f"{s}/a", subscription_id=2)
    client.replay("new", f"{s}/+", subscription_id=3)
    client.publish(f"{s}/a", "3")
    got = client.messages(6)
    client.sync()
    assert client.set_aside() == []
    assert all(len(one.subscription_ids) == 1 for one in got)
    by_id = {number: payloads(one for one in got if one.subscription_ids == [number]) for number in (1, 2, 3)}
    assert by_id == {1: ["1", "2", "3"], 2: ["1", "3"], 3: ["3"]}


def test_a_plain_subscription_beside_a_replay_gets_its_own_copy_of_live_events(broker, connect, s):
    client = connect(broker)
    client.publish(f"{s}/a", "1")
    client.replay("first", f"{s}/#", subscription_id=1)
    client.granted(f"{s}/a", qos=1, subscription_id=2)
    client.publish(f"{s}/a", "2")
    got = client.messages(3)
    assert payloads(one for one in got if one.subscription_ids == [1]) == ["1", "2"]
    (plain,) = [one for one in got if one.subscription_ids == [2]]
    assert (plain.payload, plain.user) == (b"2", [])


# No Local


def test_no_local_holds_in_replay_and_live(broker, connect, s, name):
    other = connect(broker)
    client = connect(broker, name)
    client.publish(s, "own past")
    other.publish(s, "other past")
    client.replay("first", s, no_local=True)
    client.publish(s, "own live")
    other.publish(s, "other live")
    got = client.messages(2)
    assert [(one.payload, one.seq) for one in got] == [(b"other past", 2), (b"other live", 4)]


def test_no_local_knows_own_events_after_a_restart(brokers, connect):
    one = brokers(store=["s/#"])
    connect(one, "me").publish("s/a", "own")
    connect(one, "you").publish("s/a", "other")
    one.restart()
    client = connect(one, "me")
    client.replay("first", "s/a", no_local=True)
    assert client.message().payload == b"other"


def test_last_counts_deliverable_events_only(broker, connect, s, name):
    other, client = connect(broker), connect(broker, name)
    other.publish(s, "1")
    client.publish(s, "own")
    other.publish(s, "3")
    client.publish(s, "own")
    client.replay("last:2", s, no_local=True)
    other.publish(s, "end")
    assert payloads(client.until("end")) == ["1", "3"]


# Message expiry


def test_expired_events_are_skipped_and_the_rest_tell_what_is_left(broker, connect, s, clock):
    writer = connect(broker)
    writer.publish(s, "1", message_expiry=1)
    writer.publish(s, "2", message_expiry=100)
    writer.publish(s, "3")
    clock(2)
    reader = connect(broker)
    reader.replay("first", s)
    got = reader.messages(2)
    assert sequences(got) == [2, 3]
    assert 80 <= got[0].prop("message_expiry") <= 98
    assert got[1].prop("message_expiry") is None


def test_message_expiry_holds_across_a_restart(brokers, connect, clock):
    one = brokers(store=["s/#"])
    writer = connect(one)
    writer.publish("s/a", "1", message_expiry=1)
    writer.publish("s/a", "2", message_expiry=100)
    one.restart()
    clock(2)
    reader = connect(one)
    reader.replay("first", "s/a")
    got = reader.message()
    assert (got.seq, 1 <= got.prop("message_expiry") <= 98) == (2, True)


# Maximum Packet Size


def test_store_properties_are_left_out_where_they_do_not_fit(broker, connect, s):
    writer = connect(broker)
    writer.publish(s, "x" * 100)
    writer.publish(s, "y" * 200)
    writer.publish(s, "z")
    bare = 2 + len(s) + 2 + 1 + 100 + 2
    reader = connect(broker, maximum_packet_size=bare + 10)
    reader.replay("first", s)
    got = reader.messages(2)
    assert [one.payload[:1] for one in got] == [b"x", b"z"]
    assert got[0].user == []
    assert got[1].seq == 3


def test_what_is_too_large_for_the_client_is_counted_and_the_cursor_moves_past_it(broker, connect, s, name):
    writer = connect(broker)
    before = broker.metrics().total("rewindmq_dropped_total", reason="too_large")
    writer.publish(s, "y" * 500)
    small = connect(broker, name, maximum_packet_size=300)
    small.replay("first", s)
    writer.publish(s, "end")
    assert small.until("end") == []
    assert broker.metrics().total("rewindmq_dropped_total", reason="too_large") == before + 1
    small.sync()
    small.disconnect()
    large = connect(broker, name)
    large.replay("first", s)
    writer.publish(s, "new")
    assert payloads(large.until("new")) == []


def test_aliases_hold_in_a_replay(broker, connect, s):
    writer = connect(broker)
    for number in range(12):
        writer.publish(f"{s}/{number % 3}", number)
    reader = connect(broker, topic_alias_maximum=2)
    reader.replay("first", f"{s}/#")
    got = reader.messages(12)
    assert [one.topic for one in got] == [f"{s}/{number % 3}" for number in range(12)]


# Retention


RETENTION = {
    "store": {
        "retention_interval": "50ms",
        "rules": [{"filters": ["five/#"], "max_count": 5}, {"filters": ["brief/#"], "max_age": "1s"}],
    }
}


def test_count_retention_leaves_a_gap_and_every_start_begins_at_the_first_kept(brokers, connect):
    one = brokers(config=RETENTION)
    writer = connect(one)
    for number in range(1, 21):
        writer.publish("five/a", number)
    one.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") >= 15)
    for start in ("first", "seq:2", "seq:16", "time:1", "delta:1d", "last:10"):
        reader = connect(one)
        reader.replay(start, "five/#")
        assert sequences(reader.messages(5)) == [16, 17, 18, 19, 20], start
    reader = connect(one)
    reader.replay("seq:18", "five/a")
    assert sequences(reader.messages(3)) == [18, 19, 20]


def test_age_retention_empties_the_channel_and_sequences_are_never_used_again(brokers, connect):
    one = brokers(config=RETENTION)
    writer = connect(one)
    for number in range(1, 4):
        writer.publish("brief/a", number)
    one.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") >= 3)
    reader = connect(one)
    reader.replay("first", "brief/a")
    assert writer.publish("brief/a", "4").user == [("es-seq", "4")]
    assert reader.message().seq == 4
    one.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") >= 4)
    one.restart()
    assert connect(one).publish("brief/a", "5").user == [("es-seq", "5")]
