"""Messages in flight to durable subscribers over restarts and kill -9 (MQTT 5.0 section 4.4); QoS 2 is elsewhere."""

import pytest

from raw import payloads

VERSIONS = [4, 5]
WAYS = ["restart", "crash"]


def write(writer, *numbers):
    """Publishes numbers in turn to a topic that is stored by a rule and to one that is not."""
    for number in numbers:
        writer.publish("s/a" if number % 2 else "p/a", number)


def identifiers(packets):
    """The packet identifiers."""
    return [got.packet_id for got in packets]


@pytest.fixture
def one(brokers):
    """A broker that stores `s/#`."""
    return brokers(store=["s/#"])


@pytest.fixture
def writer(one, connect):
    """A publisher; gone after a restart."""
    return connect(one)


@pytest.fixture
def flying(one, writer, durable):
    """`flying(version, count)`: a durable subscriber, and so many messages that it has not acknowledged."""

    def make(version, count, **options):
        client = durable(one, "me", version, auto_ack=False, **options)
        client.granted("p/#", "s/#", qos=1)
        write(writer, *range(count))
        got = client.messages(count)
        assert payloads(got) == [str(number) for number in range(count)]
        return client, got

    return make


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_unacknowledged_ones_come_again_first_in_order_with_dup_and_their_identifiers(
    one, writer, flying, connect, back, over, settle, version, way
):
    client, before = flying(version, 5)
    client.puback(before[0])
    client.puback(before[2])
    client.sync()
    client.drop()
    write(writer, 5)
    settle(way)
    held = [before[1], before[3], before[4]]
    for last in (6, 7):
        over(one, way)
        write(connect(one), last)
        client = back(one, "me", version, auto_ack=False)
        again = client.messages(last - 1)
        assert payloads(again) == [got.payload.decode() for got in held] + [str(n) for n in range(5, last + 1)]
        assert identifiers(again[:3]) == identifiers(held)
        assert all(got.dup for got in again[:3])
        assert not again[-1].dup
        assert len(set(identifiers(again))) == len(again)


@pytest.mark.parametrize("way", WAYS)
def test_resending_keeps_topic_qos_properties_and_subscription_identifiers(
    one, writer, durable, back, over, settle, way
):
    client = durable(one, "me", auto_ack=False)
    client.granted("#", qos=1, subscription_id=7, as_published=True)
    writer.publish("p/a", "m", retain=True, content_type="t", user=[("k", "v")])
    client.message()
    client.sync()
    settle(way)
    over(one, way)
    got = back(one, "me", auto_ack=False).message()
    assert (got.topic, got.payload, got.qos, got.dup, got.retain) == ("p/a", b"m", 1, True, True)
    assert (got.prop("content_type"), got.user, got.subscription_ids) == ("t", [("k", "v")], [7])


@pytest.mark.parametrize("way", WAYS)
def test_resending_keeps_to_the_receive_maximum_of_the_new_connection(one, flying, connect, back, over, settle, way):
    client, before = flying(5, 5)
    client.sync()
    settle(way)
    over(one, way)
    write(connect(one), 5)
    client = back(one, "me", auto_ack=False, receive_maximum=3)
    got = client.messages(3)
    client.sync()
    assert client.set_aside() == []
    for _ in range(3):
        client.puback(got[-3])
        got += client.messages(1)
    assert payloads(got) == ["0", "1", "2", "3", "4", "5"]
    assert identifiers(got[:5]) == identifiers(before)
    assert [one.dup for one in got] == [True] * 5 + [False]


@pytest.mark.parametrize("version", VERSIONS)
def test_acknowledged_ones_do_not_come_again_after_an_orderly_stop(one, connect, durable, back, version):
    client = durable(one, "me", version)
    client.granted("p/#", qos=1)
    client.granted("s/#", qos=2)
    writer = connect(one)
    for number in range(100):
        writer.publish("s/a" if number % 2 else "p/a", number, qos=2)
    client.messages(100)
    client.sync()
    one.restart()
    client = back(one, "me", version)
    connect(one).publish("p/a", "end")
    assert client.until("end") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_after_a_crash_at_most_a_suffix_comes_again(one, connect, durable, back, version):
    client = durable(one, "me", version)
    client.granted("#", qos=1)
    write(connect(one), *range(50))
    client.messages(50)
    client.sync()
    one.crash()
    client = back(one, "me", version)
    connect(one).publish("p/a", "end")
    again = payloads(client.until("end"))
    assert again == [str(number) for number in range(50 - len(again), 50)]


@pytest.mark.parametrize("way", WAYS)
def test_unsubscribing_leaves_what_is_in_flight(one, flying, back, over, settle, way):
    client, before = flying(5, 3)
    client.unsubscribe("p/#", "s/#")
    settle(way)
    over(one, way)
    again = back(one, "me", auto_ack=False).messages(3)
    assert [(got.payload, got.packet_id, got.dup) for got in again] == [
        (got.payload, got.packet_id, True) for got in before
    ]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_retained_message_in_flight_comes_again(one, writer, connect, durable, back, over, settle, stored, way):
    topic = "s/r" if stored else "p/r"
    writer.publish(topic, "kept", retain=True)
    client = durable(one, "me", auto_ack=False)
    client.granted(topic, qos=1)
    first = client.message()
    client.sync()
    settle(way)
    over(one, way)
    client = back(one, "me", auto_ack=False)
    again = client.message()
    assert (again.payload, again.packet_id, again.dup, again.retain) == (b"kept", first.packet_id, True, True)
    client.puback(again)
    connect(one).publish(topic, "end")
    assert client.until("end") == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_unacknowledged_events_of_a_replay_come_again_with_dup_and_their_identifiers(
    one, writer, connect, durable, back, over, settle, version, way
):
    for number in (1, 2, 3):
        writer.publish("s/a", number)
    client = durable(one, "me", version, auto_ack=False)
    client.replay("first", "s/a")
    before = client.messages(3)
    client.puback(before[1])
    client.sync()
    settle(way)
    over(one, way)
    connect(one).publish("s/a", "4")
    client = back(one, "me", version, auto_ack=False)
    again = client.messages(3)
    assert payloads(again) == ["1", "3", "4"]
    assert identifiers(again[:2]) == [before[0].packet_id, before[2].packet_id]
    assert [got.dup for got in again] == [True, True, False]
    if version == 5:
        assert [got.seq for got in again] == [1, 3, 4]
