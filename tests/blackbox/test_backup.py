"""`rewindmq backup`: a copy is whole and can be started on, or it is not there."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from broker import BINARY, Broker, run
from load import Load
from raw import Client
from trace import Trace


def history(port, marker="marker"):
    """Every stored event: topic and sequence -> payload."""
    client, writer = Client(port), Client(port)
    client.connect()
    writer.connect()
    client.replay("first", "s/#")
    writer.publish("s/marker", marker)
    found = {(got.topic, got.seq): got.payload.decode() for got in client.until(marker, timeout=60)}
    client.disconnect()
    writer.disconnect()
    return found


@pytest.fixture
def stored(brokers, connect):
    """A stopped broker with events in its folder."""
    one = brokers(store=["s/#"])
    connect(one).publish_all([(f"s/{number % 7}", number) for number in range(500)])
    one.stop()
    return one


def copy(one: Broker, into: Path):
    """The copy of a broker's folder, which must succeed."""
    done = run("backup", into, "--data", one.data)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"copied \S+ to \S+: \d+ bytes in \d+\.\d s\n", done.stdout), done.stdout
    return done


def test_a_copy_under_load_has_all_that_was_acknowledged_before(brokers, tmp_path):
    one = brokers(store=["s/#"])
    load = Load(one.port, "s", 3, 20_000).start()
    load.wait(5_000)
    acknowledged = {topic: dict(told) for topic, told in load.acknowledged.items()}
    copy(one, tmp_path / "copy")
    load.join()
    again = brokers(store=["s/#"], data=tmp_path / "copy")
    found = history(again.port)
    for topic, told in acknowledged.items():
        assert told.items() <= {seq: payload for (at, seq), payload in found.items() if at == topic}.items()
    for topic in acknowledged:
        sequences = sorted(seq for at, seq in found if at == topic)
        assert sequences == list(range(1, len(sequences) + 1))


def test_a_copy_of_a_folder_at_rest_is_the_same_store(stored, brokers, tmp_path):
    copy(stored, tmp_path / "new" / "copy")
    (tmp_path / "empty").mkdir()
    copy(stored, tmp_path / "empty")
    stored.start()
    whole = history(stored.port)
    for into in ("new/copy", "empty"):
        assert history(brokers(store=["s/#"], data=tmp_path / into).port) == whole


def test_the_configured_folder_is_copied(stored, tmp_path):
    done = run("backup", tmp_path / "copy", env={"REWINDMQ__STORE__PATH": str(stored.data)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy" / "data.mdb").stat().st_mode & 0o777 == 0o600
    stored.start()


def test_a_copy_does_not_stop_the_broker_from_being_the_only_one(brokers, connect, tmp_path):
    one = brokers(store=["s/#"])
    connect(one).publish("s/a", "x")
    copy(one, tmp_path / "copy")
    second = Broker(data=one.data).launch()
    assert second.ended() == 1
    assert "is in use by process" in second.tail()
    second.close()


@pytest.mark.parametrize("case", ["no folder", "empty folder", "a file", "not empty", "memory", "not writable"])
def test_what_cannot_be_copied_is_said_and_nothing_is_left(stored, tmp_path, case):
    data, into, env = stored.data, tmp_path / "copy", {}
    if case == "no folder":
        data, said = tmp_path / "none", "holds no store"
    elif case == "empty folder":
        data, said = tmp_path / "empty", "holds no store"
        data.mkdir()
    elif case == "a file":
        into, said = tmp_path / "file", "file"
        into.write_text("x")
    elif case == "not empty":
        said = "is not empty"
        into.mkdir()
        (into / "x").write_text("x")
    elif case == "memory":
        env, said = {"REWINDMQ__STORE__DURABILITY": "memory"}, "nothing on disk to back up"
    else:
        into, said = Path("/proc/copy"), "/proc/copy"
    before = sorted(tmp_path.rglob("*"))
    done = run("backup", into, "--data", data, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr and "panicked" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    stored.start()


def test_an_interrupted_copy_is_not_taken_for_a_store(stored, brokers, tmp_path):
    into = tmp_path / "copy"
    trace = Trace(tmp_path / "trace", "fsync:delay_enter=60000000")
    process = subprocess.Popen([*trace.around, str(BINARY), "backup", str(into), "--data", str(stored.data)])
    deadline = time.monotonic() + 15
    while not (into / "data.mdb.partial").exists():
        assert time.monotonic() < deadline, "the copy never began"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert [path.name for path in into.iterdir()] == ["data.mdb.partial"]
    done = run("inspect", into)
    assert done.returncode == 1 and "holds no store" in done.stderr
    done = run("backup", into, "--data", stored.data)
    assert done.returncode == 1 and "is not empty" in done.stderr
    shutil.rmtree(into)
    copy(stored, into)
    stored.start()


def test_a_failing_disk_leaves_no_half_copy(stored, tmp_path):
    for fault in ["fsync:error=ENOSPC", "fsync:error=EIO"]:
        trace = Trace(tmp_path / "trace", fault)
        line = [*trace.around, str(BINARY), "backup", str(tmp_path / "copy"), "--data", str(stored.data)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done
        assert not (tmp_path / "copy").exists(), fault
    stored.start()


def test_a_copy_that_was_killed_does_not_keep_the_store_from_using_freed_room(brokers, connect, tmp_path):
    config = {"store": {"default_retention": {"max_count": 10}, "retention_interval": "10ms"}}
    one = brokers(config=config, store=["s/#"])
    client = connect(one)
    client.publish_all([("s/a", "x" * 2_000)] * 500)
    trace = Trace(tmp_path / "trace", "write:delay_enter=60000000")
    line = [*trace.around, str(BINARY), "backup", str(tmp_path / "copy"), "--data", str(one.data)]
    process = subprocess.Popen(line)
    deadline = time.monotonic() + 15
    while not (tmp_path / "copy" / "data.mdb.partial").exists():
        assert time.monotonic() < deadline, "the copy never began"
        time.sleep(0.01)
    client.publish_all([("s/a", "x" * 2_000)] * 500)
    process.kill()
    process.wait()
    # Alone, so that each is a commit.
    for _ in range(300):
        client.publish("s/a", "x")
    one.wait_log("readers that were killed are forgotten")
    before = (one.data / "data.mdb").stat().st_size
    for _ in range(10):
        client.publish_all([("s/a", "x" * 2_000)] * 500)
    assert (one.data / "data.mdb").stat().st_size < before + 2_000 * 5_000 // 2
