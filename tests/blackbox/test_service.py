"""What the broker tells a service manager (sd_notify), and what `rewindmq health` says of it."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from broker import Broker, run, toml
from raw import Client
from supervisor import Supervisor
from trace import Trace


@pytest.fixture
def supervise():
    """Makes service managers."""
    made = []

    def make(*arguments, **options):
        made.append(Supervisor(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def health(*arguments, env=None):
    """The exit code, and what was said."""
    done = run("health", *arguments, env=env)
    return done.returncode, done.stdout + done.stderr


def publish_until_nobody_answers(client):
    """One event at a time, so that each is a commit."""
    with contextlib.suppress(OSError, AssertionError):
        for number in range(100):
            client.publish("s/a", number)


@pytest.mark.parametrize("kind", ["a file", "no file"])
def test_ready_is_told_when_clients_can_connect_and_stopping_at_the_stop(brokers, supervise, tmp_path, kind):
    supervisor = supervise(tmp_path if kind == "a file" else None)
    broker = brokers(start=False, env=supervisor.env).launch()
    assert supervisor.next() == {"STATUS": f"opening the store in {broker.data}"}
    told = supervisor.next()
    assert told.pop("READY") == "1"
    ports = [int(place.rsplit(":", 1)[1]) for place in told.pop("STATUS").split(", ")]
    assert told == {}
    client = Client(ports[0])
    assert client.connect().reason == 0
    broker.http_port = ports[1]
    assert "rewindmq_" in broker.http("/metrics")
    broker.stop()
    assert supervisor.next()["STOPPING"] == "1"
    assert supervisor.drain() == []
    client.socket.close()


def test_a_reload_is_told_with_its_time_and_its_end(brokers, supervise, tmp_path):
    supervisor = supervise(tmp_path)
    broker = brokers(config={"session": {"max_subscriptions": 1}}, env=supervisor.env)
    path = Path(broker.folder.name) / "rewindmq.toml"
    serving = supervisor.until("READY")["STATUS"]
    for text, said in [("[session]\nmax_subscriptions = 2\n", ""), ("nonsense = 1\n", "faulty")]:
        path.write_text(text)
        before = time.monotonic_ns() // 1_000
        broker.process.send_signal(signal.SIGHUP)
        told = supervisor.next()
        assert told["RELOADING"] == "1"
        assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1_000
        told = supervisor.next()
        assert told["READY"] == "1"
        assert told["STATUS"].startswith(serving) and said in told["STATUS"]
    broker.stop()


def test_a_start_that_fails_is_never_told_as_ready(brokers, supervise, tmp_path):
    first = brokers()
    supervisor = supervise(tmp_path)
    second = Broker(data=first.data, env=supervisor.env).launch()
    assert second.ended() == 1
    second.close()
    assert [list(told) for told in supervisor.drain()] == [["STATUS"]]


def test_the_watchdog_is_told_as_long_as_the_broker_works(brokers, supervise, tmp_path):
    supervisor = supervise(tmp_path, watchdog=0.2)
    broker = brokers(env=supervisor.env)
    for _ in range(5):
        assert supervisor.until("WATCHDOG") == {"WATCHDOG": "1"}
    broker.stop()


def test_the_watchdog_is_told_nothing_while_the_writer_hangs(brokers, connect, supervise, tmp_path):
    supervisor = supervise(tmp_path, watchdog=0.4)
    # From the twentieth on, a sync of the store's file takes longer than the test.
    trace = Trace(tmp_path / "trace", "fdatasync:delay_enter=600000000:when=20+")
    broker = brokers(store=["s/#"], env=supervisor.env, around=trace.around)
    supervisor.until("WATCHDOG")
    threading.Thread(target=publish_until_nobody_answers, args=[connect(broker)], daemon=True).start()
    broker.wait_log("ERROR.*does not do its work.*no commit within", timeout=60)
    supervisor.wait_silent(2)
    code, said = health("--http", f"127.0.0.1:{broker.http_port}")
    assert code == 1 and "not ready\n  store: no commit within 2s" in said
    # The writer goes on, and so does the watchdog.
    trace.end(broker.process.pid)
    supervisor.until("WATCHDOG")
    broker.stop()


def test_without_a_watchdog_or_for_another_process_none_is_told(brokers, supervise, tmp_path):
    for number, env in enumerate([{}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid())}]):
        (tmp_path / str(number)).mkdir()
        supervisor = supervise(tmp_path / str(number))
        broker = brokers(env={**supervisor.env, **env})
        broker.stop()
        assert not any("WATCHDOG" in told for told in supervisor.drain())


def test_a_service_manager_that_cannot_be_told_is_no_reason_not_to_run(brokers, connect, tmp_path):
    for name, said in [(f"{tmp_path}/nobody", "cannot be told"), ("vsock:2:3", "names no Unix socket")]:
        broker = brokers(env={"NOTIFY_SOCKET": name})
        broker.wait_log(f"WARN.*{said}")
        connect(broker)
        broker.stop()


def test_health_says_ready_by_its_exit_code(brokers, tmp_path):
    broker = brokers()
    address = f"127.0.0.1:{broker.http_port}"
    assert health("--http", address) == (0, "ready\n")
    path = tmp_path / "x.toml"
    path.write_text(toml({"http": {"address": f":{broker.http_port}"}, "listeners": [{"address": ":1883"}]}))
    assert health("--config", path) == (0, "ready\n")
    assert health(env={"REWINDMQ__HTTP__ADDRESS": address}) == (0, "ready\n")
    broker.stop()
    code, said = health("--http", address)
    assert code == 1 and f"http://{address}/readyz: " in said and "panicked" not in said


def test_health_says_what_is_wrong(brokers, connect, tmp_path):
    trace = Trace(tmp_path / "trace", "fdatasync:error=EIO:when=20+")
    broker = brokers(store=["s/#"], around=trace.around)
    client = connect(broker)
    assert [client.publish("s/a", number).reason for number in range(60)][-1] == 0x83
    code, said = health("--http", f"127.0.0.1:{broker.http_port}")
    assert code == 1 and "not ready\n  store: " in said and "workers" not in said
    broker.kill9()
