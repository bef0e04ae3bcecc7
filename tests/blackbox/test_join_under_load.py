"""Replay meets live while publishers run: no gap, no duplicate, in order, for every start and QoS."""

import itertools
import random

import pytest

from load import Load, Thread
from raw import Client

PUBLISHERS, COUNT = 3, 1500


def by_topic(messages):
    """Sequences in the order of arrival, per topic."""
    found = {}
    for got in messages:
        found.setdefault(got.topic, []).append(got.seq)
    return found


def check_payloads(load, messages):
    """Every event is the one its publisher was told about."""
    for got in messages:
        assert load.acknowledged[got.topic][got.seq] == got.payload.decode()


def check_order(messages):
    """Commit times never fall."""
    times = [got.time_ns for got in messages]
    assert all(before <= after for before, after in itertools.pairwise(times))


def read_until_complete(client, topics, last):
    """Messages until the last event of every topic came, and then what may come too much."""
    got, missing = [], set(topics)
    while missing:
        got.append(client.message(60))
        if got[-1].seq == last:
            missing.discard(got[-1].topic)
    client.sync()
    return got + client.set_aside()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_subscribers_that_join_at_random_get_every_event_once_and_in_order(broker, s, qos):
    dice = random.Random(qos)
    load = Load(broker.port, s, PUBLISHERS, COUNT)
    topics = list(load.acknowledged)

    def reader(after, filter_text, wanted):
        load.wait(after)
        client = Client(broker.port)
        client.connect()
        client.replay("first", filter_text, qos=qos)
        got = read_until_complete(client, wanted, COUNT)
        client.disconnect()
        return got

    joins = [(dice.randrange(load.total * 9 // 10), f"{s}/#", topics) for _ in range(3)]
    joins += [(dice.randrange(load.total * 9 // 10), topic, [topic]) for topic in topics]
    readers = [Thread(reader, *join) for join in joins]
    for thread in readers:
        thread.start()
    load.start()
    load.join()
    for (_, _, wanted), thread in zip(joins, readers, strict=True):
        got = thread.finish()
        assert by_topic(got) == {topic: list(range(1, COUNT + 1)) for topic in wanted}
        check_order(got)
        check_payloads(load, got)


@pytest.mark.parametrize("start", ["new", "last", "last:20", "seq:500", "delta:100ms"])
def test_every_start_runs_on_without_a_gap(broker, s, start):
    dice = random.Random(start)
    load = Load(broker.port, s, PUBLISHERS, COUNT)
    load.gate.clear()
    topics, joined = list(load.acknowledged), []

    def reader(after, qos):
        load.wait(after)
        client = Client(broker.port)
        client.connect()
        client.replay(start, f"{s}/+", qos=qos)
        joined.append(qos)
        if len(joined) == 2:
            load.gate.set()
        got = read_until_complete(client, topics, COUNT)
        client.disconnect()
        return got

    readers = [Thread(reader, dice.randrange(load.total // 4, load.total // 2), qos) for qos in (0, 1)]
    for thread in readers:
        thread.start()
    load.start()
    load.join()
    for thread in readers:
        got = thread.finish()
        for topic, found in by_topic(got).items():
            assert found == list(range(found[0], COUNT + 1)), topic
        check_order(got)
        check_payloads(load, got)


def let_acknowledge(client):
    """Until the broker has all acknowledgements so far; what comes meanwhile stays unacknowledged."""
    client.auto_ack = False
    client.sync()


@pytest.mark.parametrize("version", [4, 5])
def test_a_reader_that_comes_and_goes_gets_every_event_once(broker, s, name, version):
    load = Load(broker.port, s, PUBLISHERS, COUNT)
    dice = random.Random(version)
    load.start()
    got = []
    while len(got) < load.total:
        client = Client(broker.port, version)
        client.connect(name)
        client.replay("first", f"{s}/#")
        part = []
        wanted = min(dice.randrange(100, 800), load.total - len(got))
        while len(part) < wanted:
            part.append(client.message(60))
        let_acknowledge(client)
        got += part
        client.drop()
    load.join()
    expected = {topic: [str(number) for number in range(COUNT)] for topic in load.acknowledged}
    found = {}
    for one in got:
        found.setdefault(one.topic, []).append(one.payload.decode())
    assert found == expected


def test_members_that_come_and_go_acknowledge_every_event_once(broker, s, name):
    load = Load(broker.port, s, PUBLISHERS, COUNT)
    acknowledged = []

    def member(seed):
        dice = random.Random(seed)
        for _ in range(4):
            client = Client(broker.port)
            client.connect(receive_maximum=dice.choice([3, 20, 100]))
            client.replay("first", f"$share/{name}/{s}/#")
            part = [client.message(60) for _ in range(dice.randrange(20, 60))]
            let_acknowledge(client)
            acknowledged.extend(part)
            client.drop()

    members = [Thread(member, seed) for seed in range(3)]
    load.start()
    for thread in members:
        thread.start()
    for thread in [*load.threads, *members]:
        thread.finish()
    rest = Client(broker.port)
    rest.connect()
    rest.replay("first", f"$share/{name}/{s}/#")
    while len(acknowledged) < load.total:
        acknowledged.append(rest.message())
    rest.sync()
    acknowledged += rest.set_aside()
    rest.disconnect()
    found = sorted((one.topic, int(one.payload)) for one in acknowledged)
    assert found == [(topic, number) for topic in sorted(load.acknowledged) for number in range(COUNT)]
