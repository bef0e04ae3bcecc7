"""The command lines of the README, with the mosquitto clients, against a broker without a configuration file."""

import re
import time

import pytest

import mosquitto

BROKER = {}
FIRST = ["-V", "5", "-q", "1", "-D", "subscribe", "user-property"]


@pytest.fixture
def orders(broker, name):
    """A topic with seven stored events, x1 to x7."""
    topic = f"orders-{name}/1"
    for number in range(1, 8):
        publish_stored(broker, topic, f"x{number}")
    return topic


def publish_stored(broker, topic, payload):
    """The command line that stores a message."""
    line = ["-V", "5", "-q", "1", "-t", topic, "-m", payload, "-D", "publish", "user-property", "store", "true"]
    mosquitto.pub(broker.port, *line)


def replay(broker, start, topic, count, *more):
    """The payloads of a replay by mosquitto_sub."""
    line = [*FIRST, "replay", start, "-t", topic, "-F", "%p", "-C", str(count), *more]
    return mosquitto.sub(broker.port, *line)


def test_hello(broker):
    with mosquitto.Sub(broker.port, "-t", "#", "-v") as sub:
        mosquitto.pub(broker.port, "-t", "a/b", "-m", "hello")
        assert sub.next() == "a/b hello"


def test_a_stored_message_is_replayed_with_its_properties(broker):
    before = time.time_ns()
    line = ["-V", "5", "-q", "1", "-t", "orders/1", "-m", "x", "-D", "publish", "user-property", "store", "true"]
    mosquitto.pub(broker.port, *line)
    line = ["-V", "5", "-q", "1", "-t", "orders/#", "-D", "subscribe", "user-property", "replay", "first"]
    (shown,) = mosquitto.sub(broker.port, *line, "-F", "%t %p %P", "-C", "1")
    found = re.fullmatch(r"orders/1 x store:true es-seq:1 es-time:(\d+) es-channel:orders\.1", shown)
    assert found, shown
    assert before <= int(found[1]) <= time.time_ns()


def test_without_a_start_option_nothing_comes_from_the_past(broker, orders):
    with mosquitto.Sub(broker.port, "-V", "5", "-q", "1", "-t", orders) as sub:
        publish_stored(broker, orders, "live")
        assert sub.next() == "live"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("first", ["x1", "x2", "x3", "x4", "x5", "x6", "x7"]),
        ("last", ["x7"]),
        ("last:2", ["x6", "x7"]),
        ("seq:3", ["x3", "x4", "x5", "x6", "x7"]),
        ("delta:5m", ["x1", "x2", "x3", "x4", "x5", "x6", "x7"]),
        ("time:2020-02-29T12:00:00Z", ["x1", "x2", "x3", "x4", "x5", "x6", "x7"]),
        ("time:2020-02-29T12:00:00+01:00", ["x1", "x2", "x3", "x4", "x5", "x6", "x7"]),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{}/#"])
def test_start_options(broker, orders, start, expected, form):
    assert replay(broker, start, form.format(orders), len(expected)) == expected


def test_new_skips_the_past(broker, orders):
    with mosquitto.Sub(broker.port, *FIRST, "replay", "new", "-t", orders, "-F", "%p") as sub:
        publish_stored(broker, orders, "x8")
        assert sub.next() == "x8"


def test_a_replay_goes_on_with_what_is_published_later(broker, orders):
    with mosquitto.Sub(broker.port, *FIRST, "replay", "last:2", "-t", orders, "-F", "%p") as sub:
        publish_stored(broker, orders, "x8")
        assert [sub.next() for _ in range(3)] == ["x6", "x7", "x8"]


def test_two_members_share_a_backlog(broker, orders):
    line = [*FIRST, "replay", "first", "-t", f"$share/g/{orders}/#", "-F", "%p"]
    with mosquitto.Sub(broker.port, *line) as one, mosquitto.Sub(broker.port, *line) as two:
        for number in range(8, 30):
            publish_stored(broker, orders, f"x{number}")
        got, waiting = [], [one, two]
        deadline = time.monotonic() + 20
        while len(got) < 29 and time.monotonic() < deadline:
            for sub in waiting:
                while not sub.lines.empty():
                    got.append(sub.next())
            time.sleep(0.01)
    assert sorted(got, key=lambda text: int(text[1:])) == [f"x{number}" for number in range(1, 30)]


def test_a_second_run_with_the_same_identifier_gets_only_what_is_new(broker, orders, name):
    assert replay(broker, "first", orders, 7, "-i", name) == [f"x{number}" for number in range(1, 8)]
    publish_stored(broker, orders, "x8")
    publish_stored(broker, orders, "x9")
    assert replay(broker, "first", orders, 2, "-i", name) == ["x8", "x9"]
    publish_stored(broker, orders, "x10")
    assert replay(broker, "seq:1", orders, 1, "-i", name) == ["x10"]


def test_a_3_1_1_client_replays_by_its_filter_and_stores_by_its_topic(broker, name):
    for payload in ("one", "two", "three"):
        mosquitto.pub(broker.port, "-V", "mqttv311", "-q", "1", "-t", f"$store/{name}/a", "-m", payload)
    line = ["-V", "mqttv311", "-q", "1", "-t", f"$replay/first/{name}/#", "-v", "-C", "3"]
    assert mosquitto.sub(broker.port, *line) == [f"{name}/a one", f"{name}/a two", f"{name}/a three"]
