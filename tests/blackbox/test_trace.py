"""The trace: each packet of a client and what is decided about it, while it is looked at and not otherwise."""

import http.client
import json
import os
import select
import subprocess
import urllib.parse

import pytest

from broker import BINARY
from test_api import Api, publish
from test_cli_ops import ask, said

ACL = """
deny  publish  anyone  on secret/#
allow all      anyone  on #
"""
MOST_TRACES = 4


@pytest.fixture
def served(brokers, tmp_path):
    """A broker with access rules that stores `s/#`."""
    rules = tmp_path / "rules.acl"
    rules.write_text(ACL)
    return brokers(config={"auth": {"acl_file": str(rules)}}, store=["s/#"], args=["--anonymous"])


@pytest.fixture
def follow(served):
    """Begins a trace of the API; what happens from then on is told."""
    made = []

    def begin(**query):
        made.append(Trace(served, **query))
        return made[-1]

    yield begin
    for one in made:
        one.close()


class Trace:
    """A trace of the API. The head of the answer says that it has begun."""

    def __init__(self, broker, wait_ms=600_000, **query):
        self.connection = http.client.HTTPConnection("127.0.0.1", broker.http_port, timeout=60)
        query = urllib.parse.urlencode({"wait_ms": wait_ms, **query})
        self.connection.request("GET", f"/api/v1/trace?{query}")
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def next(self):
        """The next event."""
        return json.loads(self.answer.readline())

    def until(self, **wanted):
        """All events up to one that says all of this."""
        seen = []
        while not seen or any(seen[-1].get(name) != value for name, value in wanted.items()):
            assert seen[-1:] != [{"event": "end"}], seen
            seen.append(self.next())
        return seen

    def close(self):
        self.answer.close()
        self.connection.close()


class Command:
    """`rewindmq trace`, while it runs."""

    def __init__(self, broker, *words):
        environment = {**os.environ, "REWINDMQ_API": f"http://127.0.0.1:{broker.http_port}"}
        line = [BINARY, "trace", *words]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)

    def begun(self, probe):
        """Does something until the trace tells of it: from then on it tells everything. The first line."""
        while True:
            probe()
            ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
            if ready:
                return self.process.stdout.readline()

    def rest(self):
        """All lines until the end."""
        lines = self.process.stdout.read().splitlines()
        assert self.process.wait(60) == 0, self.process.stderr.read()
        return lines


def kinds(events):
    """What happened, in short."""
    return [(event["event"], event.get("packet"), event.get("topic")) for event in events]


def test_the_way_of_a_stored_message_is_told_in_order(served, connect, follow):
    writer, reader = connect(served, "writer"), connect(served, "reader")
    reader.subscribe("s/#", qos=1)
    trace = follow()
    writer.publish("s/a", "xyz", qos=1)
    reader.message()
    events = trace.until(client_id="reader", event="in", packet="PUBACK")
    of_writer = [event for event in events if event["client_id"] == "writer"]
    sent, stored, routed, *_ = of_writer
    assert kinds([sent, stored, routed]) == [("in", "PUBLISH", "s/a"), ("stored", None, "s/a"), ("routed", None, "s/a")]
    assert (sent["qos"], sent["payload_bytes"], stored["sequence"], routed["targets"]) == (1, 3, 1, 1)
    of_reader = [event for event in events if event["client_id"] == "reader"]
    assert kinds(of_reader) == [("out", "PUBLISH", "s/a"), ("in", "PUBACK", None)]
    assert of_reader[0]["packet_id"] == of_reader[1]["packet_id"]
    assert all("payload" not in event for event in events)


def test_what_nobody_keeps_is_told_as_well_and_why_something_is_refused(served, connect, follow):
    writer, reader = connect(served, "writer"), connect(served, "reader")
    reader.subscribe("plain", qos=1)
    trace = follow(client_id="writer")
    writer.publish("plain", "y", qos=0)
    writer.publish("secret/x", "z", qos=1)
    events = trace.until(event="out", packet="PUBACK")
    assert kinds(events) == [
        ("in", "PUBLISH", "plain"),
        ("routed", None, "plain"),
        ("in", "PUBLISH", "secret/x"),
        ("dropped", None, "secret/x"),
        ("refused", "PUBLISH", "secret/x"),
        ("out", "PUBACK", None),
    ]
    assert "rules.acl:2: deny" in events[4]["rule"] and events[4]["reason"] == events[5]["reason"]


@pytest.mark.parametrize("version", [4, 5])
def test_a_life_of_a_client_is_told_from_connack_to_disconnect(served, connect, follow, version):
    trace = follow(client_id="one")
    client = connect(served, "one", version=version)
    client.subscribe("a/#", "b", qos=1)
    client.unsubscribe("a/#")
    client.disconnect()
    events = trace.until(event="disconnected")
    assert kinds(events) == [
        ("connected", None, None),
        ("out", "CONNACK", None),
        ("in", "SUBSCRIBE", None),
        ("out", "SUBACK", None),
        ("in", "UNSUBSCRIBE", None),
        ("out", "UNSUBACK", None),
        ("in", "DISCONNECT", None),
        ("disconnected", None, None),
    ]
    assert events[0]["listener"] and events[1]["session_present"] is False
    assert events[2]["filters"] == ["a/#", "b"] and events[2]["qos"] == [1, 1] and len(events[3]["reasons"]) == 2
    said = [events[number]["reason"] for number in (1, 6)]
    assert said == ["success", "normal disconnection"]


def test_the_last_disconnect_is_told_with_its_reason(served, connect, follow):
    client = connect(served, "one")
    trace = follow(client_id="one")
    Api(served).do("DELETE", "/clients/one")
    client.expect_closed()
    [*_, said_last, end] = trace.until(event="disconnected")
    assert (said_last["event"], said_last["packet"]) == ("out", "DISCONNECT") and said_last["why"] in end["why"]


def test_a_refused_connect_is_told(served, dial, follow):
    trace = follow(client_id="willing")
    refused = dial(served).connect("willing", will={"topic": "secret/x", "payload": "w", "qos": 1})
    assert refused.reason == 0x87
    event = trace.next()
    assert kinds([event]) == [("refused", "CONNECT", None)] and event["reason"] and event["why"], event


def test_a_replay_is_told_with_what_it_asks_for_and_what_comes(served, connect, follow):
    publish(Api(served), "s/a", "old")
    trace = follow(topic="s/#")
    reader = connect(served, "reader")
    reader.replay("first", "s/#")
    reader.message()
    events = trace.until(event="out", packet="PUBLISH")
    assert kinds(events) == [("in", "SUBSCRIBE", None), ("out", "PUBLISH", "s/a")]
    assert events[0]["user_properties"] == ["replay=first"]


def test_topics_behind_aliases_are_told(served, connect, follow):
    writer, reader = connect(served, "writer"), connect(served, "reader", topic_alias_maximum=5)
    reader.subscribe("plain", qos=0)
    trace = follow(topic="plain")
    writer.publish("plain", "1", qos=0, topic_alias=1)
    writer.publish("", "2", qos=0, topic_alias=1)
    reader.messages(2)
    events = []
    while len(events) < 6:
        events.append(trace.next())
    told = [(event["event"], event["client_id"], event["topic"]) for event in events]
    expected = [("in", "writer"), ("in", "writer"), ("out", "reader"), ("out", "reader"), ("routed", "writer"), ("routed", "writer")]
    assert sorted(told) == [(*one, "plain") for one in expected]


def test_messages_of_the_api_and_wills_are_told(served, connect, follow):
    trace = follow(topic="w/#")
    connect(served, "willing", will={"topic": "w/1", "payload": "gone", "qos": 0}).drop()
    [routed] = trace.until(event="routed")
    assert (routed["client_id"], routed["topic"]) == ("willing", "w/1")
    publish(Api(served), "w/2", "x")
    assert trace.next()["topic"] == "w/2"


def test_there_are_so_many_traces_and_one_whose_reader_goes_away_ends(served, follow):
    traces = [follow() for _ in range(MOST_TRACES)]
    assert all(trace.status == 200 for trace in traces)
    refused = Api(served).do("GET", "/trace?wait_ms=1", status=429)
    assert f"{MOST_TRACES} traces" in refused["what"] and refused["hint"]
    assert f"{MOST_TRACES} traces" in said(served, "trace", "--timeout", "1ms", code=1)
    traces[0].close()
    while follow(wait_ms=1).status == 429:
        pass


def test_a_broker_that_stops_does_not_wait_for_a_trace(served, follow):
    trace = follow()
    assert trace.status == 200
    served.stop()
    with pytest.raises((http.client.HTTPException, OSError, json.JSONDecodeError)):
        while True:
            trace.next()


def test_a_trace_ends_in_time_and_is_refused_without_one(served):
    api = Api(served)
    assert api.ask("GET", "/api/v1/trace?wait_ms=1") == (200, [{"event": "end"}])
    assert "wait_ms" in api.do("GET", "/trace", status=400)["what"]
    for query in ["wait_ms=0", "wait_ms=3600001", "wait_ms=x", "wait_ms=1&count=0", "wait_ms=1&topic=a/%23/b", "wait_ms=1&other=1"]:
        api.do("GET", f"/trace?{query}", status=400)


def test_the_command_prints_events_until_there_are_enough(served, connect):
    writer = connect(served, "writer")
    words = ("--client", "writer", "--topic", "s/+", "--timeout", "1m", "--count", "4")
    trace = Command(served, "--json", *words)
    first = trace.begun(lambda: writer.publish("s/a", "x", qos=0))
    for _ in range(3):
        writer.publish("s/a", "x", qos=0)
    told = [json.loads(line) for line in [first, *trace.rest()]]
    assert len(told) == 4 and all((event["client_id"], event["topic"]) == ("writer", "s/a") for event in told)
    assert "in" in {event["event"] for event in told} <= {"in", "stored", "routed"}

    trace = Command(served, *words)
    first = trace.begun(lambda: writer.publish("s/b", "x", qos=0))
    for _ in range(3):
        writer.publish("s/b", "x", qos=0)
    told = [first.rstrip("\n"), *trace.rest()]
    assert len(told) == 4
    [sent, *_] = [line for line in told if " in " in line]
    assert sent[13:].startswith("writer in PUBLISH s/b ") and " payload_bytes=1 " in sent, sent


def test_the_command_ends_in_time_and_says_what_is_wrong(served):
    assert said(served, "trace", "--timeout", "1ms") == ""
    assert said(served, "trace", "--topic", "a/#/b", code=1).startswith("rewindmq: ")
    wrong = ask(served, "trace", "--timeout", "2h")
    assert wrong.returncode == 2 and '"1ms" to "1h"' in wrong.stderr
