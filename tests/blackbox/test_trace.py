"""The trace: each packet of a client and what is decided about it, while it is looked at and not otherwise."""

import json
import os
import select
import subprocess
import threading

import pytest

from broker import BINARY
from test_api import Api
from test_cli_ops import said

ACL = """
deny  publish  anyone  on secret/#
allow all      anyone  on #
"""


@pytest.fixture
def served(brokers, tmp_path):
    """A broker with access rules that stores `s/#`."""
    rules = tmp_path / "rules.acl"
    rules.write_text(ACL)
    return brokers(config={"auth": {"acl_file": str(rules)}}, store=["s/#"], args=["--anonymous"])


class Trace:
    """The command, while it runs."""

    def __init__(self, broker, *words):
        environment = {**os.environ, "REWINDMQ_API": f"http://127.0.0.1:{broker.http_port}"}
        line = [BINARY, "trace", "--json", *words]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)

    def begun(self, probe):
        """Sends until the trace tells of it: from then on it tells everything."""
        while True:
            probe()
            ready, event = self.poll()
            if ready:
                return event

    def poll(self):
        """A line, if there is one soon."""
        ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
        return (True, json.loads(self.process.stdout.readline())) if ready else (False, None)

    def rest(self):
        """All lines until the end."""
        lines, fault = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, fault
        return [json.loads(line) for line in lines.splitlines()]


def test_packets_and_decisions_of_a_client_are_told(served, connect):
    writer, reader = connect(served, "writer"), connect(served, "reader")
    reader.subscribe("s/#", qos=1)
    trace = Trace(served, "--client", "writer", "--topic", "s/+", "--timeout", "20s", "--count", "4")
    event = trace.begun(lambda: writer.publish("s/a", "x", qos=0))
    told = [event, *trace.rest()]
    assert len(told) == 4
    kinds = [event["event"] for event in told]
    assert set(kinds) <= {"in", "stored", "routed"} and all(event["client_id"] == "writer" for event in told)
    assert all(event["topic"] == "s/a" for event in told)
    packets = [event for event in told if event["event"] == "in"]
    assert packets and packets[0]["packet"] == "PUBLISH" and packets[0]["payload_bytes"] == 1


def test_a_trace_of_the_api_tells_all_in_order(served, connect):
    writer, reader = connect(served, "writer"), connect(served, "reader")
    reader.subscribe("s/#", "plain", qos=1)
    api = Api(served)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(api.ask("GET", "/api/v1/trace?wait_ms=60000&count=60")))
    thread.start()
    while thread.is_alive():
        writer.publish("s/a", "x", qos=1)
        writer.publish("plain", "y", qos=0)
        writer.publish("secret/x", "z", qos=1)
        reader.message()
        reader.message()
    thread.join()
    [(status, lines)] = answers
    assert status == 200 and lines[-1] == {"event": "end"} and len(lines) == 61
    seen = {(line["event"], line.get("packet"), line.get("topic")) for line in lines[:-1]}
    assert {("in", "PUBLISH", "s/a"), ("stored", None, "s/a"), ("routed", None, "s/a"), ("out", "PUBLISH", "s/a")} <= seen
    assert {("in", "PUBLISH", "plain"), ("routed", None, "plain"), ("out", "PUBLISH", "plain")} <= seen
    assert {("refused", None, "secret/x"), ("dropped", None, "secret/x"), ("out", "PUBACK", None)} <= seen
    refused = next(line for line in lines if line["event"] == "refused")
    assert "rules.acl:2: deny" in refused["rule"]
    sequences = [line["sequence"] for line in lines if line["event"] == "stored"]
    assert sequences == sorted(set(sequences))


def test_a_trace_ends_in_time_and_is_refused_without_one(served):
    api = Api(served)
    assert api.ask("GET", "/api/v1/trace?wait_ms=1") == (200, [{"event": "end"}])
    assert "wait_ms" in api.do("GET", "/trace", status=400)["what"]
    assert said(served, "trace", "--timeout", "1ms") == ""
    assert said(served, "trace", "--topic", "a/#/b", code=1).startswith("rewindmq: topic: ")
