"""store.durability: what each word forces to disk and when, read from the system calls of the broker."""

import time

import pytest

from broker import run
from trace import Trace

COUNT = 30


def wait(condition, what, seconds=15.0):
    """Polls until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def traced(brokers, tmp_path):
    """Makes a broker under strace; returns it with its trace."""

    def make(*inject, **store):
        trace = Trace(tmp_path / "trace", *inject)
        # A checkpoint or a cursor may be written at any time; nothing here makes one but what the test does.
        config = {"store": {"retention_interval": "1h", **store}}
        return brokers(config=config, store=["s/#"], around=trace.around), trace

    return make


def test_sync_forces_every_commit_to_disk_before_its_acknowledgement(traced, connect):
    one, trace = traced()
    client = connect(one)
    for number in range(COUNT):
        before = trace.syncs(), trace.synced_writes()
        assert client.publish("s/a", number).reason == 0
        assert trace.syncs() > before[0], "PUBACK came before fdatasync"
        assert trace.synced_writes() > before[1], "PUBACK came before the head was written through"


def test_async_forces_nothing_per_commit_and_everything_when_it_stops(traced, connect):
    one, trace = traced(durability="async", async_flush="60s")
    client = connect(one)
    before = trace.syncs(), trace.synced_writes()
    for number in range(COUNT):
        assert client.publish("s/a", number).reason == 0
    assert (trace.syncs(), trace.synced_writes()) == before
    client.disconnect()
    one.stop()
    assert trace.syncs() > before[0]


def test_async_forces_at_intervals_what_was_committed(traced, connect):
    one, trace = traced(durability="async", async_flush="200ms")
    client = connect(one)
    start, before = time.monotonic(), trace.syncs()
    for number in range(COUNT):
        assert client.publish("s/a", number).reason == 0
    wait(lambda: trace.syncs() > before, "nothing was forced to disk")
    intervals = (time.monotonic() - start) / 0.2
    assert trace.syncs() - before <= intervals + 1
    assert trace.synced_writes() == 0
    one.crash()
    again = connect(one)
    again.replay("first", "s/a")
    assert [got.seq for got in again.messages(COUNT)] == list(range(1, COUNT + 1))


def test_after_a_failed_sync_nothing_is_acknowledged(traced, connect):
    one, trace = traced("fdatasync:error=EIO:when=20+")
    client = connect(one)
    reasons = [client.publish("s/a", number).reason for number in range(60)]
    assert reasons[-1] == 0x83
    first = reasons.index(0x83)
    assert reasons == [0] * first + [0x83] * (60 - first)


def test_after_a_failed_later_sync_writes_are_refused_with_the_reason(traced, connect):
    one, trace = traced("fdatasync:error=EIO:when=2+", durability="async", async_flush="10ms")
    client = connect(one)
    wait(lambda: client.publish("s/a", "x").reason == 0x83, "a failed sync had no consequence")
    assert client.publish("s/a", "x").reason == 0x83
    one.wait_log("could not be forced to disk.*nput/output error")
    assert client.publish("p/a", "passes").reason in (0, 0x10)
    client.disconnect()
    assert trace.syncs() >= 2


def test_memory_makes_no_folder_and_remembers_nothing(brokers, connect):
    one = brokers(config={"store": {"durability": "memory"}}, store=["s/#"])
    client = connect(one)
    assert [client.publish("s/a", number).reason for number in range(2)] == [0, 0]
    reader = connect(one)
    reader.replay("first", "s/a")
    assert [got.seq for got in reader.messages(2)] == [1, 2]
    assert not one.data.exists()
    client.disconnect()
    reader.disconnect()
    one.restart()
    writer = connect(one)
    writer.publish("s/a", "new")
    reader = connect(one)
    reader.replay("first", "s/a")
    assert (reader.message().seq, one.data.exists()) == (1, False)


def test_the_log_and_check_warn_of_less_than_sync(brokers, tmp_path):
    for word, warning in [("async", "may damage"), ("memory", "nothing")]:
        one = brokers(config={"store": {"durability": word}})
        one.wait_log(rf"WARN.*durability is {word}")
        done = run("check", env={"REWINDMQ__STORE__DURABILITY": word})
        assert done.returncode == 0
        assert f"durability {word}" in done.stdout and warning in done.stdout
