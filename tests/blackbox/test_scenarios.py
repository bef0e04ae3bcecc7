"""The same scenarios with several client libraries and both versions: what scenarios.toml says is what each sees."""

import tomllib
from pathlib import Path

import pytest

from libraries import LIBRARIES
from raw import replay_filter

SCENARIOS = tomllib.loads(Path(__file__).with_name("scenarios.toml").read_text())["scenario"]
QUIET = 0.2


def runs():
    """Each scenario with each library and version that can do it."""
    for scenario in SCENARIOS:
        for library, client in LIBRARIES.items():
            for version in (5, 4):
                if client.can(version).issuperset(scenario.get("needs", [])):
                    yield pytest.param(scenario, library, version, id=f"{scenario['name']}-{library}-{version}")


class Stage:
    """The clients of one run. Topics of the scenario stand below `prefix`."""

    def __init__(self, port, library, version, name):
        self.port, self.library, self.version, self.name = port, library, version, name
        self.prefix = f"s/{name}"
        self.clients = {}

    def below(self, topic):
        """The scenario's topic as it is on the wire."""
        return f"{self.prefix}/{topic}"

    def connect(self, client, session=False, will=None):
        will = will and {**will, "topic": self.below(will["topic"])}
        make = LIBRARIES[self.library]
        self.clients[client] = make(self.port, self.version, f"{self.name}-{client}", session, will)

    def subscribe(self, client, filters, qos, start=None, group=None):
        names, user = [self.below(one) for one in filters], []
        if group:
            names = [f"$share/{group}/{one}" for one in names]
        if start and self.version == 5:
            user = [("replay", start)]
        elif start:
            names = [replay_filter(start, one) for one in names]
        self.clients[client].subscribe(names, qos, user)

    def publish(self, client, topic, payload, qos, retain=False, user=(), times=1):
        pairs = [tuple(pair) for pair in user]
        self.clients[client].publish(self.below(topic), payload.encode() * times, qos, retain, pairs)

    def expect(self, client, messages):
        for wanted in messages:
            got = self.clients[client].next()
            assert got, f"nothing came for {client}, wanted {wanted}"
            assert got.payload == wanted["payload"].encode() * wanted.get("times", 1), (got.payload[:80], wanted)
            if "topic" in wanted:
                assert got.topic == self.below(wanted["topic"])
            if "user" in wanted:
                assert got.user[: len(wanted["user"])] == [tuple(pair) for pair in wanted["user"]]
            assert got.qos == wanted.get("qos", got.qos), (got, wanted)
            assert got.retain == wanted.get("retain", got.retain), (got, wanted)

    def share(self, clients, payloads):
        came = {name: [] for name in clients}
        while sum(map(len, came.values())) < len(payloads):
            found = [(name, got) for name in clients if (got := self.clients[name].next(QUIET))]
            for name, got in found:
                came[name].append(got.payload.decode())
            self.patience -= not found
            assert self.patience, f"only {came} came"
        assert sorted(sum(came.values(), [])) == sorted(payloads), came

    patience = 100

    def drop(self, client):
        self.clients[client].end(politely=False)

    def disconnect(self, client):
        self.clients[client].end(politely=True)

    def close(self):
        """Ends every client. What nobody expected must not have come."""
        open_clients = [client for client in self.clients.values() if client.is_open]
        for client in open_clients:
            client.end(politely=True)
        return [got for client in open_clients for got in list(client.messages.queue)]


@pytest.mark.parametrize("scenario, library, version", list(runs()))
def test_scenario(broker, name, scenario, library, version):
    stage = Stage(broker.port, library, version, name)
    try:
        for step in scenario["steps"]:
            step = dict(step)
            getattr(stage, step.pop("do"))(**step)
    finally:
        left = stage.close()
    assert left == [], "more came than was expected"
