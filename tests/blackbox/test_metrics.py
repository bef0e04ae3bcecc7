"""/metrics: every figure moves with what it counts; names, types and units are in order."""

import os
import re
import urllib.error
import urllib.request

import pytest

from filling import until_refused, until_taken
from test_api import Api


@pytest.fixture
def one(brokers):
    """A broker of its own, so that figures start at nothing."""
    return brokers(store=["s/#"])


FAMILIES = {
    "process_cpu_seconds_total": "counter",
    "process_open_fds": "gauge",
    "process_resident_memory_bytes": "gauge",
    "rewindmq_publish_to_ack_seconds": "histogram",
    "rewindmq_publish_to_deliver_seconds": "histogram",
    "rewindmq_lag_events": "gauge",
    "rewindmq_store_limit_bytes": "gauge",
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
        assert name.startswith(("rewindmq_", "process_"))
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


def test_sessions_by_state(one, connect):
    connect(one, "stays", session_expiry=100)
    connect(one, "goes", session_expiry=100).disconnect()

    def states(now):
        return {state: now.total("rewindmq_sessions", state=state) for state in ("connected", "absent")}

    one.wait_metrics(lambda now: states(now) == {"connected": 1, "absent": 1})


def test_store_size_limit_and_queue(brokers, connect):
    one = brokers(store=["s/#"], config={"store": {"max_bytes": "64MiB"}})
    # The log's writer says it, a moment after the start.
    before = one.wait_metrics(lambda now: now.total("rewindmq_store_limit_bytes") == 64 << 20)
    assert before.total("rewindmq_store_queue_limit_bytes") > 0
    assert (before.total("rewindmq_store_writable"), before.total("rewindmq_store_full")) == (1, 0)
    connect(one).publish("s/a", b"x" * 100_000)
    one.wait_metrics(
        lambda now: (
            now.total("rewindmq_store_used_bytes") > before.total("rewindmq_store_used_bytes") + 100_000
            and now.total("rewindmq_store_file_bytes") > 100_000
            and now.total("rewindmq_store_disk_free_bytes") > 0
            and now.total("rewindmq_store_queue_bytes") == 0
        )
    )


def test_full_store_says_so_until_it_has_room_again(brokers, connect):
    one = brokers(store=["s/#"], config={"store": {"max_bytes": "4MiB"}})
    client = connect(one)
    taken = until_refused(client, "s/a", size=50_000)
    full = one.wait_metrics(lambda now: now.total("rewindmq_store_full") == 1)
    assert full.total("rewindmq_store_errors_total", reason="full") >= 1
    assert full.total("rewindmq_store_errors_total", reason="failed") == 0
    assert full.total("rewindmq_store_writable") == 1
    Api(one).do("POST", "/channels/s%2Fa/purge", {"through": len(taken)})
    until_taken(client, "s/a", range(1), size=50_000)
    one.wait_metrics(lambda now: now.total("rewindmq_store_full") == 0)
    one.wait_log("ERROR.*the event store is full")
    one.wait_log("INFO.*the event store has room again")


def test_time_from_publish_to_acknowledgement_and_delivery(one, connect):
    reader, writer = connect(one), connect(one)
    reader.granted("s/a", "live", qos=1)
    ack, deliver = "rewindmq_publish_to_ack_seconds", "rewindmq_publish_to_deliver_seconds"
    writer.publish("live", "m")
    one.wait_metrics(lambda now: now.total(f"{deliver}_count", path="direct") == 1)
    assert one.metrics().total(f"{ack}_count") == 0
    for qos in (1, 2):
        writer.publish("s/a", "m", qos=qos)
    now = one.wait_metrics(
        lambda now: (now.total(f"{ack}_count"), now.total(f"{deliver}_count", path="stored")) == (2, 2)
    )
    assert 0 < now.total(f"{ack}_sum") < 60
    assert 0 < now.total(f"{deliver}_sum", path="stored") < 60
    reader.messages(3)


def test_lag_of_cursors_and_groups(one, connect):
    writer, slow, worker = connect(one), connect(one, "slow", auto_ack=False), connect(one, "worker", auto_ack=False)
    slow.replay("first", "s/#", qos=1)
    worker.replay("first", "$share/g/s/a", qos=1)
    for number in range(5):
        writer.publish("s/a", str(number))
    writer.publish("s/b", "m")

    def lags(now, name):
        return {kind: now.total(f"rewindmq_lag_{name}", kind=kind) for kind in ("client", "group")}

    now = one.wait_metrics(lambda now: lags(now, "events") == {"client": 6, "group": 5})
    assert lags(now, "max_events") == {"client": 6, "group": 5}
    assert min(lags(now, "max_seconds").values()) > 0
    assert lags(now, "unknown_cursors") == {"client": 0, "group": 0}
    found = Api(one).get("/lag?limit=1")
    assert (found["clients"]["behind"], found["groups"]["events"]) == (1, 5)
    [furthest] = found["furthest"]
    assert (furthest["kind"], furthest["owner"], furthest["filter"], furthest["events"]) == ("client", "slow", "s/#", 6)
    for packet in slow.messages(6):
        slow.puback(packet)
    one.wait_metrics(lambda now: lags(now, "events") == {"client": 0, "group": 5})


def test_the_process(one):
    now = one.metrics()
    pid = one.process.pid
    assert now.total("process_open_fds") <= len(os.listdir(f"/proc/{pid}/fd")) + 1
    assert 1_000_000 < now.total("process_resident_memory_bytes") < now.total("process_virtual_memory_bytes")
    assert now.total("process_max_fds") > now.total("process_open_fds") > 5
    assert abs(now.total("process_start_time_seconds") - now.total("rewindmq_start_time_seconds")) < 60


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
