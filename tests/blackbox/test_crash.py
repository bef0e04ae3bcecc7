"""kill -9 under load: what was acknowledged is there once, sequences are dense, cursors lose nothing."""

import os
import random

from load import Load, Thread
from raw import Client

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "4"))
PUBLISHERS, COUNT = 3, 4000


def whole_history(port, marker):
    """All events, read by a client without a past; a marker that is published behind them ends it."""
    client, writer = Client(port), Client(port)
    client.connect()
    writer.connect()
    client.replay("first", "s/+")
    writer.publish("s/marker", marker)
    got = client.until(marker, timeout=60)
    client.disconnect()
    writer.disconnect()
    return got


def check_history(history, acknowledged, sent):
    """Dense sequences; every acknowledged event at its sequence; nothing that was never sent; publishing order."""
    by_topic = {}
    for got in history:
        by_topic.setdefault(got.topic, []).append((got.seq, got.payload.decode()))
    for topic, told in acknowledged.items():
        found = by_topic.get(topic, [])
        assert [seq for seq, _ in found] == list(range(1, len(found) + 1)), topic
        assert told.items() <= dict(found).items(), topic
        numbers = [int(payload) for _, payload in found]
        assert numbers == sorted(set(numbers)), topic
        assert not numbers or numbers[-1] < sent[topic], topic


def follow(port, got):
    """A reader that acknowledges what it gets until the broker goes away."""
    client = Client(port)
    client.connect("follower")
    client.replay("first", "s/+")
    try:
        while True:
            got.append(client.message(60))
    except (AssertionError, OSError):
        pass


def test_kill_9_under_load_loses_nothing_acknowledged_and_invents_nothing(brokers):
    one = brokers(store=["s/#"])
    dice = random.Random(9)
    acknowledged = {f"s/{number}": {} for number in range(PUBLISHERS)}
    sent = dict.fromkeys(acknowledged, 0)
    followed = []
    for number in range(ROUNDS):
        load = Load(one.port, "s", PUBLISHERS, COUNT)
        load.may_break = True
        part = []
        follower = Thread(follow, one.port, part)
        load.start(first=number * COUNT)
        follower.start()
        load.wait(dice.randrange(500, COUNT * 2))
        one.crash()
        load.join()
        follower.finish()
        followed.append(part)
        for topic, told in load.acknowledged.items():
            sent[topic] = max(sent[topic], load.sent[topic])
            assert not told.keys() & acknowledged[topic].keys(), "a sequence was used twice"
            acknowledged[topic].update(told)
        check_history(whole_history(one.port, f"marker {number}"), acknowledged, sent)
    check_followed(followed, acknowledged)


def check_followed(parts, acknowledged):
    """Each run of the reader goes on where the last one ended, or a little before; it never skips."""
    reached = dict.fromkeys(acknowledged, 0)
    for part in parts:
        begun = set()
        for got in part:
            if got.topic not in reached:
                continue
            if got.topic in begun:
                assert got.seq == reached[got.topic] + 1, got
            else:
                assert got.seq <= reached[got.topic] + 1, got
                begun.add(got.topic)
            reached[got.topic] = got.seq


def test_a_broker_killed_while_it_starts_starts_again(brokers):
    one = brokers(store=["s/#"])
    client = Client(one.port)
    client.connect()
    for number in range(20):
        client.publish("s/a", number)
    client.drop()
    one.kill9()
    for _ in range(3):
        one.launch()
        one.kill9()
    one.start()
    client = Client(one.port)
    client.connect()
    client.replay("first", "s/a")
    assert [int(got.payload) for got in client.messages(20)] == list(range(20))
    client.disconnect()
