"""The log: both formats, one line for each event of a life, the same field names everywhere, no floods."""

import json
import re
import signal
import time

import pytest

import wire
from broker import toml
from raw import Client, dial
from test_passwords import passwd

TEXT = re.compile(r"^(\S+Z)\s+(ERROR|WARN|INFO|DEBUG|TRACE) (rewindmq[\w:]*): (.*)$")
FIELD = re.compile(r' (\w+)=("(?:[^"\\]|\\.)*"|.*?)(?= \w+=|$)')
DEADLINE = 20.0
DETAILED = "info,rewindmq::broker=debug"


def parsed(line: str) -> dict:
    """A line of either format as its fields, with `timestamp`, `level`, `target` and `message`."""
    if line.startswith("{"):
        return {key: str(value) for key, value in json.loads(line).items()}
    found = TEXT.match(line)
    assert found, f"no line of the log: {line}"
    timestamp, level, target, rest = found.groups()
    message = FIELD.split(rest, maxsplit=1)[0]
    fields = {name: unquoted(value) for name, value in FIELD.findall(rest[len(message) :])}
    return {"timestamp": timestamp, "level": level, "target": target, "message": message, **fields}


def unquoted(value: str) -> str:
    """The text of a value; Rust writes other characters as \\u{1b}."""
    if not value.startswith('"'):
        return value
    return json.loads(re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: json.dumps(chr(int(found[1], 16)))[1:-1], value))


class Log:
    """A broker and its log, line by line."""

    def __init__(self, broker):
        self.broker = broker

    def wait(self, message: str, **fields: str) -> dict:
        """The first line with this message whose fields are these."""
        deadline = time.monotonic() + DEADLINE
        with self.broker.news:
            while True:
                for line in self.lines():
                    if line["message"] == message and fields.items() <= line.items():
                        return line
                assert "(end of log)" not in self.broker.log, f"the broker ended without {message} {fields}"
                assert self.broker.news.wait(deadline - time.monotonic()), f"no {message} {fields}:\n{self.broker.tail()}"

    def lines(self) -> list[dict]:
        """All lines so far."""
        return [parsed(line) for line in self.broker.log if line != "(end of log)"]


@pytest.fixture(params=["text", "json"])
def form(request):
    return request.param


@pytest.fixture
def logged(brokers, form, tmp_path):
    """Makes a broker with a format, a level, and one user, ann."""

    def make(level="info", **sections):
        one = brokers(start=False, flags=False)
        one.config = {
            "listeners": [{"address": "127.0.0.1:0", "name": "front", "anonymous": True}],
            "http": {"address": "127.0.0.1:0"},
            "store": {"path": str(one.data), "rules": [{"filters": ["s/#"]}]},
            "log": {"level": level, "format": form},
            **sections,
        }
        one.launch()
        one.port = listening(one, "listening")
        one.http_port = listening(one, "http listening")
        return Log(one)

    return make


def listening(broker, message: str) -> int:
    """The port in the line that announces a listener, in either format."""
    pattern = rf'(?:"message":"| ){message}\b.*\baddress(?:=|":")\S*?:(\d+)'
    return broker.announced(pattern)


def enter(broker, client_id, username=None, password=None, clean=True, **properties) -> Client:
    """A client that is let in, by its password if it has one."""
    client = Client(broker.port)
    assert client.connect(client_id, clean, username=username, password=password, **properties).reason == 0
    return client


def test_the_life_of_a_connection_has_one_line_for_each_event(logged, tmp_path):
    passwd(tmp_path / "users", "ann", "secret", "--iterations", "4096")
    log = logged(auth={"users_file": str(tmp_path / "users")})
    client = enter(log.broker, "one", "ann", "secret")
    address = "%s:%d" % client.socket.getsockname()
    line = log.wait("connected", client="one")
    who = {"client": "one", "address": address, "user": "ann", "listener": "front"}
    assert who.items() <= line.items()
    assert (line["level"], line["target"]) == ("INFO", "rewindmq::net::connection")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
    client.disconnect()
    assert who.items() <= log.wait("disconnected", client="one").items()
    # Who is nobody has no user.
    lost = enter(log.broker, "two")
    lost.socket.close()
    assert "user" not in log.wait("connection lost", client="two")
    ended = enter(log.broker, "three")
    ended.send(b"\xff\xff")
    ended.expect_closed()
    line = log.wait("connection ended", client="three")
    assert line["listener"] == "front" and line["reason"]
    about = [line["message"] for line in log.lines() if line.get("client") == "one"]
    assert about == ["connected", "disconnected"]


def test_a_take_over_tells_the_old_connection(logged):
    log = logged()
    first = enter(log.broker, "same")
    enter(log.broker, "same").sync()
    first.expect_closed()
    line = log.wait("connection ended", client="same")
    assert "took the session over" in line["reason"]
    assert [other["address"] for other in log.lines() if other["message"] == "connected"][0] == line["address"]


def test_refusals_name_who_and_why(logged, tmp_path):
    passwd(tmp_path / "users", "ann", "secret", "--iterations", "4096")
    log = logged(auth={"users_file": str(tmp_path / "users")})
    client = Client(log.broker.port)
    assert client.connect("guesser", username="ann", password="wrong-password").reason == 0x86
    client.expect_closed()
    line = log.wait("authentication refused", client="guesser")
    assert {"user": "ann", "listener": "front", "backend": "users"}.items() <= line.items()
    assert line["address"].startswith("127.0.0.1:") and line["reason"]
    line = log.wait("connection refused", client="guesser")
    assert {"user": "ann", "listener": "front", "kind": "authentication"}.items() <= line.items()
    stranger = dial(log.broker.port)
    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    line = log.wait("connection refused", kind="protocol")
    assert "client" not in line and line["reason"] and line["address"] == "%s:%d" % stranger.getsockname()
    stranger.close()
    assert "wrong-password" not in "\n".join(log.broker.log)


def test_what_a_client_writes_makes_no_lines_of_its_own(logged):
    log = logged()
    for number, evil in enumerate(['x" user="root', "a\u202eb", "tab\there", "new\nline", "\u001b[31mred", "back\\slash"]):
        client = Client(log.broker.port)
        client.send(wire.connect(5, evil + str(number), True, 0, []))
        client.expect(wire.CONNACK)
        client.socket.close()
    enter(log.broker, "last").disconnect()
    log.wait("disconnected", client="last")
    # Every line can be read, and no client has got a user.
    assert not any("user" in line for line in log.lines())
    assert any(line.get("client") == 'x" user="root0' for line in log.lines())


def test_sessions_cursors_and_groups(logged):
    log = logged(DETAILED)
    client = enter(log.broker, "one", session_expiry=1)
    client.replay("first", "s/#")
    client.replay("first", "$share/g/s/a")
    line = log.wait("cursor created", client="one")
    assert (line["level"], line["filter"]) == ("DEBUG", "s/#")
    assert log.wait("cursor created", group="g")["filter"] == "s/a"
    assert log.wait("group member joined", client="one")["group"] == "g"
    client.unsubscribe("s/#")
    gone = log.wait("cursor deleted", client="one")
    assert gone["cursor"] == line["cursor"] and gone["reason"]
    client.disconnect()
    assert log.wait("group member left", client="one")["filter"] == "s/a"
    assert log.wait("session expired", client="one")["level"] == "INFO"
    log.wait("session ended", client="one")


def test_a_will_that_is_published(logged):
    log = logged(DETAILED)
    client = Client(log.broker.port)
    client.connect("one", will={"topic": "w/a", "payload": "gone"})
    client.socket.close()
    assert log.wait("will published", client="one")["topic"] == "w/a"


def test_the_broker_tells_its_own_life(logged):
    log = logged()
    line = log.wait("listening", listener="front")
    assert (line["address"], line["protocol"]) == (f"127.0.0.1:{log.broker.port}", "mqtt")
    assert log.wait("store opened")["level"] == "INFO"
    broker = log.broker
    path = broker.data.parent / "rewindmq.toml"
    path.write_text(toml({**broker.config, "session": {"max_subscriptions": 7}}))
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_log("read again")
    path.write_text("[session]\nmax_subscription = 7\n")
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_log("is faulty")
    broker.stop()
    assert log.wait("listener closed")["listener"] == "front"
    said = [line["message"] for line in log.lines()]
    assert said.index("stopping") < said.index("stopped") == len(said) - 1
    assert [line["level"] for line in log.lines() if "faulty" in line["message"]] == ["ERROR"]


def test_parts_of_the_broker_have_levels_of_their_own(logged):
    log = logged("warn,rewindmq::net=info,rewindmq::server=info")
    enter(log.broker, "one").disconnect()
    log.wait("disconnected", client="one")
    targets = {line["target"].split("::")[1] for line in log.lines() if line["level"] == "INFO"}
    assert targets == {"net", "server"}


def test_a_flood_of_refusals_is_cut_and_counted(logged):
    log = logged()
    for _ in range(200):
        connection = dial(log.broker.port)
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(100) == b""
        connection.close()
    # Another kind has lines of its own.
    bad = Client(log.broker.port)
    bad.send(wire.connect(5, "", False, 0, []).replace(b"MQTT\x05", b"MQTT\x09"))
    bad.expect_closed()
    log.broker.wait_refused(200, "protocol")
    log.wait("connection refused", kind="version")
    log.broker.stop()
    refused = [line for line in log.lines() if line["message"] == "connection refused" and line["kind"] == "protocol"]
    left_out = [line for line in log.lines() if "were left out" in line["message"]]
    assert {line["kind"] for line in left_out} == {"protocol"}
    assert len(refused) + sum(int(line["left_out"]) for line in left_out) == 200
    # 20 in 10 s, and this takes less than a minute.
    assert 20 <= len(refused) <= 120
