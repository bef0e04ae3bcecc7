"""A full store: publishers are refused, readers go on, and what they acknowledge makes room again without a restart."""

import pytest

import wire
from filling import numbers, until_refused, until_taken
from raw import payloads

SIZE = 16_384


@pytest.fixture
def one(brokers):
    """A broker with a small store and no rule."""
    return brokers(config={"store": {"max_bytes": "2MiB", "retention_interval": "50ms"}})


def subscribed(durable, one, client_id, *filters, qos=1):
    """A durable subscriber that has gone away."""
    client = durable(one, client_id)
    client.granted(*filters, qos=qos)
    client.disconnect()


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("way", [None, "restart", "crash"])
def test_a_durable_subscriber_that_drains_makes_room_again_and_again(
    one, connect, durable, back, over, settle, qos, way
):
    subscribed(durable, one, "me", "p/#", qos=qos)
    waiting, number = [], 0
    for _ in range(3):
        taken = until_refused(connect(one), "p/a", first=number, size=SIZE)
        waiting += taken
        assert len(waiting) >= 20
        if way:
            settle(way)
            over(one, way)
        client = back(one, "me")
        assert numbers(client.messages(len(waiting))) == waiting
        client.sync()
        client.disconnect()
        number = taken.stop + 20
        waiting = [*range(taken.stop, number)]
        until_taken(connect(one), "p/a", range(taken.stop, number), size=SIZE)
    assert numbers(back(one, "me").messages(20)) == waiting


def test_a_full_store_refuses_only_what_must_be_kept(one, connect, durable, back):
    subscribed(durable, one, "me", "p/#")
    writer = connect(one)
    half = durable(one, "half")
    half.send_publish("p/a", b"-1", qos=2, packet_id=77)
    half.expect(wire.PUBREC, 77)
    taken = until_refused(writer, "p/a", size=SIZE)
    live = connect(one)
    live.granted("#", qos=2)
    assert writer.publish("p/a", b"x" * SIZE, qos=2).reason == 0x97
    for qos in (1, 2):
        old = connect(one, version=4)
        old.send_publish("p/a", b"x" * SIZE, qos=qos)
        assert old.expect_closed() == []
        assert writer.publish("live", b"x" * SIZE, qos=qos).reason == 0
    half.ack(wire.PUBREL, 77)
    assert half.expect(wire.PUBCOMP, 77).reason == 0
    live.sync()
    assert [(got.topic, got.qos) for got in live.set_aside()] == [("live", 1), ("live", 2)]
    assert numbers(back(one, "me").messages(len(taken) + 1)) == [-1, *taken]


def test_sessions_come_and_go_while_the_store_is_full(one, connect, durable, back):
    subscribed(durable, one, "me", "p/#")
    subscribed(durable, one, "old", "p/old")
    taken = until_refused(connect(one), "p/a", size=SIZE)
    client = durable(one, "new")
    client.granted("p/new", "p/other", qos=1)
    client.unsubscribe("p/other")
    connect(one, "old", clean=True).disconnect()
    one.crash()
    assert durable(one, "old").connack.session_present is False
    assert numbers(back(one, "me").messages(len(taken))) == [*taken]
    writer = connect(one)
    until_taken(writer, "p/other", range(1))
    until_taken(writer, "p/new", range(1, 2))
    assert numbers(back(one, "new").messages(1)) == [1]


def test_a_full_store_leaves_retained_messages_as_they_were_and_lets_them_be_cleared(one, connect, durable):
    subscribed(durable, one, "me", "p/#")
    writer = connect(one)
    for topic in ("r/kept", "r/cleared"):
        writer.publish(topic, "old", retain=True)
    until_refused(writer, "p/a", size=SIZE)
    assert writer.publish("r/kept", b"x" * SIZE * 4, retain=True).reason == 0x97
    assert writer.publish("r/cleared", b"", retain=True).reason < 0x80
    for _ in range(2):
        client = connect(one)
        client.granted("r/#", qos=1)
        client.publish("r/end", "end")
        assert [(got.topic, got.payload) for got in client.until("end")] == [("r/kept", b"old")]
        one.crash()


def test_retention_makes_room_in_a_store_full_of_events(brokers, connect):
    rule = {"filters": ["s/#"], "max_age": "1s"}
    one = brokers(config={"store": {"max_bytes": "2MiB", "retention_interval": "50ms", "rules": [rule]}})
    writer, first = connect(one), 0
    for _ in range(2):
        taken = until_refused(writer, "s/a", first=first, size=2 * SIZE)
        first = taken.stop + 20
        until_taken(writer, "s/a", range(taken.stop, first), size=2 * SIZE)
    client = connect(one)
    client.replay("new", "s/a")
    until_taken(writer, "s/a", range(first, first + 1), size=2 * SIZE)
    assert numbers(client.messages(1)) == [first]


def test_retention_makes_room_only_behind_a_durable_subscriber(brokers, connect, durable, back, clock):
    rule = {"filters": ["s/#"], "max_age": "1s"}
    one = brokers(config={"store": {"max_bytes": "2MiB", "retention_interval": "50ms", "rules": [rule]}})
    subscribed(durable, one, "me", "s/#")
    writer = connect(one)
    taken = until_refused(writer, "s/a", size=2 * SIZE)
    clock(2)
    assert writer.publish("s/a", b"x" * SIZE * 2).reason == 0x97
    client = back(one, "me")
    assert numbers(client.messages(len(taken))) == [*taken]
    until_taken(writer, "s/a", range(taken.stop, taken.stop + 40), size=2 * SIZE)
    assert numbers(client.messages(40)) == [*range(taken.stop, taken.stop + 40)]
    client.sync()
    client.disconnect()
    writer.publish("s/a", "end")
    assert payloads(back(one, "me").messages(1)) == ["end"]
