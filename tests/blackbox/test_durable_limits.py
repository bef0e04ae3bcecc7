"""Limits on what waits for one durable session: the oldest is dropped, or publishers are refused."""

import pytest

from filling import numbers, until_refused, until_taken
from load import bulk

WAYS = ["restart", "crash"]


@pytest.fixture
def limited(brokers):
    """`limited("reject", max_pending_messages=5)` makes a broker with such limits that stores `s/#`."""

    def make(policy, **limits):
        session = {"pending_policy": policy, **limits}
        return brokers(config={"session": session, "store": {"rules": [{"filters": ["s/#"]}]}})

    return make


def subscribed(durable, one, client_id, *filters):
    """A durable subscriber that has gone away."""
    client = durable(one, client_id)
    client.granted(*filters, qos=1)
    client.disconnect()


def dropped(page):
    """How many messages the limit has cost."""
    return page.total("rewindmq_dropped_total", reason="session_limit")


def rest(client, writer, topic):
    """All numbers still to come."""
    writer.publish(topic, "end")
    return numbers(client.until("end"))


# Refused


@pytest.mark.parametrize("way", WAYS)
def test_reject_refuses_matching_messages_until_the_subscriber_has_drained(limited, connect, durable, back, over, way):
    one = limited("reject", max_pending_messages=100)
    subscribed(durable, one, "me", "p/#", "s/#")
    taken = until_refused(connect(one), "p/a")
    assert len(taken) >= 100
    over(one, way)
    writer = connect(one)
    more = until_refused(writer, "s/a", first=taken.stop)
    client = back(one, "me")
    assert numbers(client.messages(len(taken) + len(more))) == [*taken, *more]
    again = range(more.stop, more.stop + 10)
    until_taken(writer, "p/a", again)
    assert rest(client, writer, "p/a") == [*again]


def test_a_refused_message_reaches_nobody_and_other_topics_go_on(limited, connect, durable, back):
    one = limited("reject", max_pending_messages=100)
    subscribed(durable, one, "me", "p/#", "s/#")
    subscribed(durable, one, "other", "q/#")
    writer = connect(one)
    taken = until_refused(writer, "p/a")
    live, reader = connect(one), connect(one)
    live.granted("#", qos=2)
    reader.replay("first", "s/#")
    reader.sync()
    for topic in ("p/b", "s/b"):
        assert writer.publish(topic, "refused", qos=1).reason == 0x97
        assert writer.publish(topic, "refused", qos=2).reason == 0x97
        assert writer.publish(topic, "refused", retain=True).reason == 0x97
        for qos in (1, 2):
            old = connect(one, version=4)
            old.send_publish(topic, "refused", qos=qos)
            assert old.expect_closed() == []
    for topic in ("q/a", "live"):
        assert writer.publish(topic, topic).reason == 0
    assert [live.message().topic for _ in range(2)] == ["q/a", "live"]
    late = connect(one)
    late.granted("p/#", "s/#", qos=1)
    for client in (late, reader):
        client.sync()
        assert client.set_aside() == []
    client = back(one, "me")
    assert numbers(client.messages(len(taken))) == [*taken]
    assert back(one, "other").message().topic == "q/a"


def test_reject_counts_bytes_too(limited, connect, durable, back):
    one = limited("reject", max_pending_bytes="64KiB")
    subscribed(durable, one, "me", "p/#")
    writer = connect(one)
    taken = until_refused(writer, "p/a", size=4096)
    assert len(taken) >= 14
    client = back(one, "me")
    assert numbers(client.messages(len(taken))) == [*taken]
    until_taken(writer, "p/a", range(taken.stop, taken.stop + 10), size=4096)


# Dropped


@pytest.mark.parametrize("way", WAYS)
def test_drop_oldest_keeps_the_newest_and_counts_the_others(limited, connect, durable, back, over, way):
    one = limited("drop_oldest", max_pending_messages=100)
    subscribed(durable, one, "me", "p/#", "s/#")
    subscribed(durable, one, "other", "p/a", "q/#")
    bulk(one.port, ["q/a"], range(40))
    bulk(one.port, ["p/a", "p/b", "s/a"] + ["s/b"] * 17, range(1000))
    one.wait_metrics(lambda now: dropped(now) == 900)
    over(one, way)
    client, writer = back(one, "me"), connect(one)
    assert numbers(client.messages(100)) == [*range(900, 1000)]
    assert rest(client, writer, "p/b") == []
    assert rest(back(one, "other"), writer, "q/a") == [*range(40), *range(0, 1000, 20)]
    assert dropped(one.metrics()) == 0


def test_drop_oldest_counts_bytes_too(limited, connect, durable, back):
    one = limited("drop_oldest", max_pending_bytes="64KiB")
    subscribed(durable, one, "me", "p/#")
    bulk(one.port, ["p/a"], range(200), size=4096)
    one.wait_metrics(lambda now: dropped(now) >= 184)
    left = rest(back(one, "me"), connect(one), "p/a")
    assert 10 <= len(left) <= 16
    assert left == [*range(200 - len(left), 200)]
    one.wait_metrics(lambda now: dropped(now) == 200 - len(left))


def test_drop_oldest_holds_for_a_client_that_is_connected_and_slow(limited, connect, durable):
    one = limited("drop_oldest", max_pending_messages=100)
    client = durable(one, "me", auto_ack=False, receive_maximum=1)
    client.granted("p/#", qos=1)
    bulk(one.port, ["p/a", "p/b"], range(1000))
    first = client.message()
    one.wait_metrics(lambda now: dropped(now) >= 899)
    client.auto_ack = True
    client.puback(first)
    left = rest(client, connect(one), "p/a")
    assert numbers([first]) == [0]
    assert 98 <= len(left) <= 100
    assert left == [*range(1000 - len(left), 1000)]


@pytest.mark.parametrize("way", WAYS)
def test_what_waited_too_long_is_dropped(limited, connect, durable, back, over, way):
    one = limited("drop_oldest", max_pending_age="4s")
    subscribed(durable, one, "me", "p/#", "s/#")
    bulk(one.port, ["p/a", "s/a"], range(10))
    over(one, way)
    one.wait_metrics(lambda now: dropped(now) == 10)
    bulk(one.port, ["p/a", "s/a"], range(10, 14))
    assert rest(back(one, "me"), connect(one), "p/a") == [10, 11, 12, 13]
