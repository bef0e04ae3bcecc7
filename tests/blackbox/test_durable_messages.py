"""Messages for durable subscribers over restarts and kill -9: which wait, in which order, and what is left out."""

import pytest

from raw import payloads

VERSIONS = [4, 5]
WAYS = ["restart", "crash"]
TOPICS = ["p/a", "s/a", "p/b", "s/b/c"]


def numbers(writer, first, stop, qos=1):
    """Publishes numbers in turn to topics that are stored by a rule and to topics that are not."""
    for number in range(first, stop):
        assert writer.publish(TOPICS[number % 4], number, qos=qos).reason == 0


def texts(first, stop):
    """What arrives of `numbers`."""
    return [str(number) for number in range(first, stop)]


def subscribed(durable, one, client_id, *filters, version=5, qos=1, **options):
    """A durable subscriber that has gone away."""
    client = durable(one, client_id, version)
    client.granted(*filters, qos=qos, **options)
    client.disconnect()


def rest(client, writer, topic):
    """All messages still to come."""
    writer.publish(topic, "end")
    return payloads(client.until("end"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_messages_wait_in_one_order_stored_or_not(brokers, connect, durable, back, over, version, qos, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "me", "p/+", "s/#", version=version, qos=qos)
    numbers(connect(one), 0, 20, qos)
    over(one, way)
    numbers(connect(one), 20, 30, qos)
    client, writer = back(one, "me", version), connect(one)
    numbers(writer, 30, 40, qos)
    got = client.messages(40)
    assert [(one.topic, one.payload.decode()) for one in got] == [(TOPICS[n % 4], str(n)) for n in range(40)]
    assert {one.qos for one in got} == {qos}
    assert not any(one.dup or one.retain or one.user for one in got)
    assert rest(client, writer, "p/a") == []


@pytest.mark.parametrize("way", WAYS)
def test_every_durable_subscriber_gets_what_waits_for_it(brokers, connect, durable, back, over, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "all", "p/#", "s/#")
    subscribed(durable, one, "some", "+/a")
    numbers(connect(one), 0, 12)
    first = back(one, "some")
    assert payloads(first.messages(6)) == ["0", "1", "4", "5", "8", "9"]
    first.sync()
    first.disconnect()
    over(one, way)
    assert payloads(back(one, "all").messages(12)) == texts(0, 12)


@pytest.mark.parametrize("way", WAYS)
def test_properties_and_large_payloads_come_unaltered(brokers, connect, durable, back, over, way):
    one = brokers()
    subscribed(durable, one, "me", "a", subscription_id=3)
    properties = {
        "payload_format": 1,
        "content_type": "t",
        "response_topic": "r",
        "correlation_data": b"\x00c",
        "user": [("b", "1"), ("a", "2"), ("b", "")],
    }
    large = bytes(range(256)) * 2000
    writer = connect(one)
    writer.publish("a", "small", **properties)
    writer.publish("a", large)
    writer.publish("a", b"")
    over(one, way)
    small, second, empty = back(one, "me").messages(3)
    for name in ("payload_format", "content_type", "response_topic", "correlation_data"):
        assert small.prop(name) == properties[name]
    assert small.user == properties["user"]
    assert second.payload == large
    assert empty.payload == b""
    assert [got.subscription_ids for got in (small, second, empty)] == [[3]] * 3


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_message_expiry_runs_on_while_the_broker_is_down(brokers, connect, durable, back, over, version, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "me", "p/#", "s/#", version=version)
    writer = connect(one)
    for prefix in ("p", "s"):
        writer.publish(f"{prefix}/short", f"{prefix} short", message_expiry=1)
        writer.publish(f"{prefix}/long", f"{prefix} long", message_expiry=100)
    over(one, way, down=2)
    client = back(one, "me", version)
    connect(one).publish("p/end", "end")
    got = client.until("end")
    assert payloads(got) == ["p long", "s long"]
    if version == 5:
        assert all(60 <= one.prop("message_expiry") <= 98 for one in got)


@pytest.mark.parametrize("way", WAYS)
def test_overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_all_identifiers(
    brokers, connect, durable, back, over, way
):
    one = brokers(store=["s/#"])
    client = durable(one, "me")
    client.granted("p/#", "s/#", qos=1, subscription_id=1)
    client.granted("p/a", "s/a", qos=2, subscription_id=2)
    client.granted("+/+", qos=1, subscription_id=3)
    client.granted("+/a", qos=1)
    client.disconnect()
    writer = connect(one)
    for topic in ("p/a", "p/b", "s/a", "s/b", "p/b/c"):
        writer.publish(topic, topic, qos=2)
    over(one, way)
    client = back(one, "me")
    connect(one).publish("p/end", "end")
    assert [(got.topic, got.qos, sorted(got.subscription_ids)) for got in client.until("end")] == [
        ("p/a", 2, [1, 2, 3]),
        ("p/b", 1, [1, 3]),
        ("s/a", 2, [1, 2, 3]),
        ("s/b", 1, [1, 3]),
        ("p/b/c", 1, [1]),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_qos_of_a_copy_is_the_lesser_of_published_and_granted(brokers, connect, durable, back, over, way):
    one = brokers()
    subscribed(durable, one, "me", "1/#", qos=1)
    subscribed(durable, one, "me", "2/#", qos=2)
    writer = connect(one)
    for topic in ("1/a", "2/a"):
        for qos in (1, 2):
            writer.publish(topic, qos, qos=qos)
    over(one, way)
    got = back(one, "me").messages(4)
    assert [(one.topic, one.payload, one.qos) for one in got] == [
        ("1/a", b"1", 1),
        ("1/a", b"2", 1),
        ("2/a", b"1", 1),
        ("2/a", b"2", 2),
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_qos_0_does_not_wait_on_either_side(brokers, connect, durable, back, over, version, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "other", "#")
    subscribed(durable, one, "me", "p/0", "s/0", version=version, qos=0)
    subscribed(durable, one, "me", "p/1", "s/1", "end", version=version, qos=1)
    writer = connect(one)
    for prefix in ("p", "s"):
        writer.publish(f"{prefix}/0", "granted 0", qos=1)
        writer.publish(f"{prefix}/1", "published at 0", qos=0)
    writer.sync()
    over(one, way)
    client, writer = back(one, "me", version), connect(one)
    assert rest(client, writer, "end") == []
    writer.publish("p/0", "live", qos=1)
    assert client.message().qos == 0


@pytest.mark.parametrize("way", WAYS)
def test_wildcards_leave_dollar_topics_out_and_dollar_filters_take_them(brokers, connect, durable, back, over, way):
    one = brokers(store=["#"])
    subscribed(durable, one, "wild", "#", "+/x")
    subscribed(durable, one, "dollar", "$other/#")
    writer = connect(one)
    for topic in ("$other/x", "a/x", "/x", "$other/y"):
        writer.publish(topic, topic)
    over(one, way)
    assert rest(back(one, "wild"), connect(one), "a/end") == ["a/x", "/x"]
    assert rest(back(one, "dollar"), connect(one), "$other/end") == ["$other/x", "$other/y"]


@pytest.mark.parametrize("way", WAYS)
def test_retain_as_published_holds_for_messages_that_waited(brokers, connect, durable, back, over, way):
    one = brokers()
    subscribed(durable, one, "as published", "a", as_published=True)
    subscribed(durable, one, "plain", "a")
    writer = connect(one)
    writer.publish("a", "1", retain=True)
    writer.publish("a", "2")
    over(one, way)
    assert [got.retain for got in back(one, "as published").messages(2)] == [True, False]
    assert [got.retain for got in back(one, "plain").messages(2)] == [False, False]


# Behind what was read so far


@pytest.mark.parametrize("way", WAYS)
def test_no_local_holds_for_own_messages_that_are_read_later(brokers, connect, durable, back, over, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "other", "#")
    client = durable(one, "me", auto_ack=False, receive_maximum=1)
    client.granted("p/#", "s/#", qos=1, no_local=True)
    writer = connect(one)
    numbers(writer, 0, 4)
    assert payloads(client.messages(1)) == ["0"]
    for topic in TOPICS:
        client.publish(topic, "own")
    numbers(writer, 4, 8)
    over(one, way)
    assert rest(back(one, "me"), connect(one), "p/end") == texts(0, 8)


@pytest.mark.parametrize("way", WAYS)
def test_a_subscription_does_not_get_what_was_published_before_it(brokers, connect, durable, back, over, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "other", "#")
    subscribed(durable, one, "me", "p/a")
    writer = connect(one)
    for number in range(5):
        writer.publish("p/a", number)
        writer.publish("p/later", "early")
        writer.publish("s/later", "early")
    over(one, way)
    client, writer = back(one, "me", auto_ack=False, receive_maximum=1), connect(one)
    assert payloads(client.messages(1)) == ["0"]
    client.granted("p/later", "s/later", qos=1)
    writer.publish("p/later", "5")
    writer.publish("s/later", "6")
    over(one, way)
    assert rest(back(one, "me"), connect(one), "p/a") == texts(0, 7)


@pytest.mark.parametrize("way", WAYS)
def test_a_filter_unsubscribed_for_a_while_misses_that_while(brokers, connect, durable, back, over, way):
    one = brokers(store=["s/#"])
    subscribed(durable, one, "other", "#")
    client, writer = durable(one, "me"), connect(one)
    client.granted("p/a", "s/a", qos=1)
    client.unsubscribe("p/a", "s/a")
    numbers(writer, 0, 4)
    client.granted("p/a", "s/a", qos=1)
    client.disconnect()
    numbers(writer, 4, 8)
    over(one, way)
    assert rest(back(one, "me"), connect(one), "p/a") == ["4", "5"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_subscribing_again_loses_nothing_that_waits(brokers, connect, durable, back, over, version, way):
    one = brokers(store=["s/#"], config={"session": {"max_inflight": 2}})
    subscribed(durable, one, "me", "p/#", "s/#", version=version)
    numbers(connect(one), 0, 20)
    client = back(one, "me", version, auto_ack=False)
    assert payloads(client.messages(2)) == ["0", "1"]
    client.granted("p/#", "s/#", qos=1)
    over(one, way)
    client = back(one, "me", version)
    client.granted("p/#", "s/#", qos=1)
    assert rest(client, connect(one), "p/a") == texts(0, 20)


# Retention


@pytest.mark.parametrize("limit", [{"max_count": 5}, {"max_age": "1s"}])
@pytest.mark.parametrize("way", WAYS)
def test_retention_waits_for_durable_subscribers(brokers, connect, durable, back, over, limit, way):
    rule = {"filters": ["s/#"], **limit}
    one = brokers(config={"store": {"retention_interval": "50ms", "rules": [rule]}})
    subscribed(durable, one, "me", "s/a")
    writer = connect(one)
    for number in range(40):
        writer.publish("s/a", number)
        writer.publish("s/other", number)
    left = limit.get("max_count", 0)
    one.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") == 40 - left)
    over(one, way)
    connect(one).publish("s/a", "40")
    client = back(one, "me")
    assert payloads(client.messages(41)) == texts(0, 41)
    client.sync()
    one.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") == 41 - left)
    reader = connect(one)
    reader.replay("first", "s/a")
    assert payloads(reader.messages(left)) == texts(41 - left, 41)


# Replay subscriptions of a durable session


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["s/a", "$share/g/s/a"])
@pytest.mark.parametrize("way", WAYS)
def test_replay_goes_on_without_subscribe(brokers, connect, durable, back, over, settle, version, name, way):
    one = brokers(store=["s/#"])
    writer = connect(one)
    for number in range(3):
        writer.publish("s/a", number)
    client = durable(one, "me", version)
    client.replay("first", name)
    assert payloads(client.messages(3)) == texts(0, 3)
    client.sync()
    client.disconnect()
    writer.publish("s/a", "3")
    settle(way)
    over(one, way)
    writer = connect(one)
    writer.publish("s/a", "4")
    client = back(one, "me", version)
    writer.publish("s/a", "5")
    got = client.messages(3)
    assert payloads(got) == texts(3, 6)
    if version == 5:
        assert [one.seq for one in got] == [4, 5, 6]
    assert rest(client, writer, "s/a") == []


@pytest.mark.parametrize("way", WAYS)
def test_replay_keeps_its_options_without_subscribe(brokers, connect, durable, back, over, way):
    one = brokers(store=["s/#"])
    client = durable(one, "me")
    client.replay("new", "s/a", qos=2, no_local=True, subscription_id=4)
    client.replay("new", "s/b", qos=0, as_published=True)
    over(one, way)
    client, writer = back(one, "me"), connect(one)
    client.publish("s/a", "own")
    for topic in ("s/a", "s/b"):
        writer.publish(topic, "m", qos=2, retain=True)
    first, second = sorted(client.messages(2), key=lambda got: got.topic)
    assert (first.topic, first.payload, first.qos, first.retain, first.subscription_ids) == ("s/a", b"m", 2, False, [4])
    assert (second.topic, second.qos, second.subscription_ids) == ("s/b", 0, [])


@pytest.mark.parametrize("way", WAYS)
def test_unacknowledged_events_of_a_group_go_out_again_after_a_restart(
    brokers, connect, durable, back, over, settle, way
):
    one = brokers(store=["s/#"])
    writer = connect(one)
    for number in range(3):
        writer.publish("s/a", number)
    client = durable(one, "me", auto_ack=False)
    client.replay("first", "$share/g/s/a")
    client.puback(client.messages(3)[1])
    client.sync()
    settle(way)
    over(one, way)
    assert rest(back(one, "me"), connect(one), "s/a") == ["0", "2"]


@pytest.mark.parametrize("way", WAYS)
def test_plain_and_replay_subscriptions_of_one_session_go_on_side_by_side(
    brokers, connect, durable, back, over, settle, way
):
    one = brokers(store=["s/#"])
    client = durable(one, "me")
    client.granted("#", qos=1, subscription_id=1)
    client.replay("new", "s/a", subscription_id=2)
    client.disconnect()
    numbers(connect(one), 0, 8)
    settle(way)
    over(one, way)
    client = back(one, "me")
    connect(one).publish("end", "end")
    got = client.until("end")
    client.sync()
    got += client.set_aside()
    assert payloads(one for one in got if one.subscription_ids == [1]) == texts(0, 8)
    assert payloads(one for one in got if one.subscription_ids == [2]) == ["1", "5"]
    assert len(got) == 10
