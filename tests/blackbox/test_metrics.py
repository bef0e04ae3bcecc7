"""/metrics: every figure moves with what it counts; names, types and units are in order."""

import re
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def one(brokers):
    """A broker of its own, so that figures start at nothing."""
    return brokers(store=["s/#"])


FAMILIES = {
    "rewindmq_connections": "gauge",
    "rewindmq_sessions": "gauge",
    "rewindmq_subscriptions": "gauge",
    "rewindmq_cursors": "gauge",
    "rewindmq_messages_received_total": "counter",
    "rewindmq_messages_sent_total": "counter",
    "rewindmq_bytes_received_total": "counter",
    "rewindmq_bytes_sent_total": "counter",
    "rewindmq_deliveries_total": "counter",
    "rewindmq_dropped_total": "counter",
    "rewindmq_store_records_total": "counter",
    "rewindmq_store_bytes_total": "counter",
    "rewindmq_store_commit_seconds": "histogram",
    "rewindmq_store_batch_records": "histogram",
}


def test_every_figure_is_there_from_the_start_with_type_and_help(one):
    page = one.metrics()
    for name, kind in FAMILIES.items():
        assert page.types.get(name) == kind, name
    for name, kind in page.types.items():
        assert name.startswith("rewindmq_")
        assert name in page.helped, name
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|us|millis|minutes|kb|mb)(_|$)", name), name


def test_no_label_names_a_client_or_a_topic(one, connect):
    client = connect(one, "very-special-client")
    client.replay("first", "s/very-special-topic")
    client.publish("s/very-special-topic", "m")
    client.message()
    assert "very-special" not in one.metrics().text


def test_connections_sessions_and_subscriptions(one, connect):
    client = connect(one, "me", session_expiry=100)
    connect(one)
    client.granted("a", "b")
    one.wait_metrics(
        lambda now: (
            (
                now.total("rewindmq_connections"),
                now.total("rewindmq_sessions"),
                now.total("rewindmq_subscriptions"),
            )
            == (2, 2, 2)
        )
    )
    client.disconnect()
    one.wait_metrics(lambda now: (now.total("rewindmq_connections"), now.total("rewindmq_sessions")) == (1, 2))
    connect(one, "me", clean=True).disconnect()
    one.wait_metrics(lambda now: (now.total("rewindmq_sessions"), now.total("rewindmq_subscriptions")) == (1, 0))


def test_messages_and_bytes_in_and_out_by_qos(one, connect):
    client = connect(one)
    client.granted("a", qos=2)
    for qos, count in ((0, 1), (1, 2), (2, 3)):
        for _ in range(count):
            client.publish("a", b"x" * 1000, qos=qos)
    client.messages(6)
    client.sync()
    now = one.wait_metrics(
        lambda now: now.total("rewindmq_bytes_received_total") > 6000 and now.total("rewindmq_bytes_sent_total") > 6000
    )
    for qos, count in (("0", 1), ("1", 2), ("2", 3)):
        assert now.total("rewindmq_messages_received_total", qos=qos) == count
        assert now.total("rewindmq_messages_sent_total", qos=qos) == count


def test_deliveries_by_kind(one, connect):
    client = connect(one)
    client.publish("s/a", "1", retain=True)
    client.publish("s/a", "2")
    client.granted("live", qos=1)
    client.publish("live", "m")
    client.message()
    client.replay("first", "s/a")
    client.messages(3)
    client.sync()
    now = one.metrics()
    kinds = {kind: now.total("rewindmq_deliveries_total", kind=kind) for kind in ("live", "replay", "retained")}
    assert kinds == {"live": 1, "replay": 2, "retained": 1}


def test_store_figures(one, connect):
    client = connect(one)
    for _ in range(10):
        client.publish("s/a", b"x" * 100)
    client.publish("p/a", "not stored")
    now = one.metrics()
    assert now.total("rewindmq_store_records_total") == 10
    assert now.total("rewindmq_store_bytes_total") >= 1000
    assert now.total("rewindmq_store_commit_seconds_count") >= 1
    assert 0 < now.total("rewindmq_store_commit_seconds_sum") < 60
    assert now.total("rewindmq_store_batch_records_sum") == 10
    assert 1 <= now.total("rewindmq_store_batch_records_count") <= 10


def test_cursors(one, connect):
    client = connect(one, "me")
    client.replay("first", "s/a", "s/b")
    one.wait_metrics(lambda now: now.total("rewindmq_cursors") == 2)
    client.unsubscribe("s/a")
    one.wait_metrics(lambda now: now.total("rewindmq_cursors") == 1)
    client.disconnect()
    one.restart()
    one.wait_metrics(lambda now: now.total("rewindmq_cursors") == 1)


def test_dropped_messages_by_reason(one, connect, clock):
    small = connect(one, maximum_packet_size=100)
    small.granted("a", qos=1)
    away = connect(one, "away", session_expiry=100)
    away.granted("b", qos=1)
    away.disconnect()
    writer = connect(one)
    writer.publish("a", "x" * 200)
    one.wait_metrics(lambda now: now.total("rewindmq_dropped_total", reason="too_large") == 1)
    writer.publish("b", "m", message_expiry=1)
    clock(2)
    connect(one, "away", clean=False, session_expiry=100).sync()
    one.wait_metrics(lambda now: now.total("rewindmq_dropped_total", reason="expired") == 1)


def test_other_paths_are_not_found(one):
    with pytest.raises(urllib.error.HTTPError) as caught:
        one.http("/nothing")
    assert caught.value.code == 404


def test_the_page_says_its_type(one):
    with urllib.request.urlopen(f"http://127.0.0.1:{one.http_port}/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain")
