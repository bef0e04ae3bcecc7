"""Cursors over retention, graceful stops and crashes."""

import pytest

from raw import payloads, sequences


def write(client, topic, *numbers):
    """Publishes numbers as stored events."""
    for number in numbers:
        assert client.publish(topic, number).user_value("es-seq") is not None


def rest(client, writer, topic):
    """All events still to come to a replay subscription; the marker that ends them is acknowledged too."""
    writer.publish(topic, "marker")
    return client.until("marker")


# Retention


def test_retention_wins_over_the_cursor_and_counts_what_was_lost(brokers, connect):
    rule = {"filters": ["s/#"], "max_count": 5}
    one = brokers(config={"store": {"retention_interval": "50ms", "rules": [rule]}})
    writer = connect(one)
    write(writer, "s/a", 1, 2, 3)
    client = connect(one, "me")
    client.replay("first", "s/a")
    client.messages(3)
    client.sync()
    client.disconnect()
    write(writer, "s/a", *range(4, 21))
    one.wait_metrics(lambda now: now.total("rewindmq_store_trimmed_records_total") >= 15)
    client = connect(one, "me")
    assert client.replay("first", "s/a").user_value("es-start") == "resumed"
    assert sequences(client.messages(5)) == [16, 17, 18, 19, 20]
    one.wait_metrics(lambda now: now.total("rewindmq_retention_lost_events_total") == 12)


# Restarts


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_after_a_graceful_stop_no_acknowledged_event_comes_again(brokers, connect, qos):
    one = brokers(store=["s/#"])
    writer = connect(one)
    for number in range(1, 101):
        writer.publish("s/a", number, qos=max(qos, 1))
    client = connect(one, "me")
    client.replay("first", "s/#", qos=qos)
    assert sequences(client.messages(100)) == list(range(1, 101))
    client.sync()
    one.restart()
    writer = connect(one)
    writer.publish("s/a", "new")
    client = connect(one, "me")
    assert client.replay("first", "s/#", qos=qos).user_value("es-start") == "resumed"
    assert client.message().payload == b"new"


def test_after_a_graceful_stop_unacknowledged_events_come_again(brokers, connect):
    one = brokers(store=["s/#"])
    writer = connect(one)
    write(writer, "s/a", 1, 2, 3)
    client = connect(one, "me", auto_ack=False)
    client.replay("first", "s/a")
    client.puback(client.message())
    client.sync()
    one.restart()
    writer = connect(one)
    client = connect(one, "me")
    client.replay("first", "s/a")
    assert payloads(rest(client, writer, "s/a")) == ["2", "3"]


def test_after_a_crash_at_most_a_suffix_comes_again(brokers, connect):
    one = brokers(store=["s/#"])
    writer = connect(one)
    write(writer, "s/a", *range(1, 51))
    client = connect(one, "me")
    client.replay("first", "s/a")
    client.messages(50)
    client.sync()
    one.crash()
    writer = connect(one)
    client = connect(one, "me")
    assert client.replay("first", "s/a").user_value("es-start") == "resumed"
    again = sequences(rest(client, writer, "s/a"))
    assert again == list(range(51 - len(again), 51))


def test_a_crash_a_second_after_the_acknowledgements_brings_nothing_again(brokers, connect, clock):
    one = brokers(store=["s/#"])
    writer = connect(one)
    write(writer, "s/a", *range(1, 51))
    client = connect(one, "me")
    client.replay("first", "s/a")
    client.messages(50)
    client.sync()
    clock(1.5)
    one.crash()
    writer = connect(one)
    client = connect(one, "me")
    client.replay("first", "s/a")
    assert rest(client, writer, "s/a") == []


def test_deleted_and_kept_cursors_stay_so_over_a_restart(brokers, connect):
    one = brokers(store=["s/#"])
    writer = connect(one)
    write(writer, "s/a", 1, 2)
    write(writer, "s/b", 1, 2)
    client = connect(one, "me")
    client.replay("first", "s/a", "s/b")
    client.messages(4)
    client.sync()
    client.unsubscribe("s/a")
    client.unsubscribe("s/b", user=[("cursor", "keep")])
    one.restart()
    client = connect(one, "me")
    assert client.replay("first", "s/a").user_value("es-start") == "fresh"
    assert client.replay("first", "s/b").user_value("es-start") == "resumed"
    assert [(got.topic, got.seq) for got in client.messages(2)] == [("s/a", 1), ("s/a", 2)]
