"""A durable mosquitto_sub, away while messages arrive and the broker is killed, gets all of them, in order, once."""

import pytest

import mosquitto
from load import bulk

COUNT = 100_000
TOPICS = [f"p/{number}" for number in range(7)] + ["s/a"]


def first_fault(lines, count):
    """The first line that is not the number that should stand there; None if all are right."""
    for number, line in enumerate(lines):
        if line != str(number):
            return f"line {number} is {line}"
    return None if len(lines) == count else f"{len(lines)} lines of {count}"


@pytest.mark.parametrize(("qos", "version"), [("1", "mqttv311"), ("2", "mqttv5")])
@pytest.mark.parametrize("way", ["crash"])
def test_mosquitto_sub_gets_all_that_arrived_while_it_was_away(brokers, over, qos, version, way):
    one = brokers(store=["s/#"])
    line = ("-c", "-i", "me", "-V", version, "-q", qos, "-t", "p/#", "-t", "s/#")
    mosquitto.sub(one.port, *line, "-E")
    bulk(one.port, TOPICS, range(COUNT // 2))
    over(one, way)
    bulk(one.port, TOPICS, range(COUNT // 2, COUNT))
    lines = mosquitto.sub(one.port, *line, "-C", str(COUNT), deadline=60)
    assert first_fault(lines, COUNT) is None


@pytest.mark.parametrize("way", ["restart", "crash"])
def test_mosquitto_pub_and_sub_over_a_restart(brokers, over, way):
    one = brokers()
    line = ("-c", "-i", "me", "-q", "1", "-t", "p/#")
    mosquitto.sub(one.port, *line, "-E")
    for number in range(3):
        mosquitto.pub(one.port, "-q", str(number % 2 + 1), "-t", "p/a", "-m", str(number))
    mosquitto.pub(one.port, "-q", "0", "-t", "p/a", "-m", "qos 0")
    mosquitto.pub(one.port, "-q", "1", "-r", "-t", "p/r", "-m", "retained")
    over(one, way)
    assert mosquitto.sub(one.port, *line, "-C", "4") == ["0", "1", "2", "retained"]
    assert mosquitto.sub(one.port, "-q", "1", "-t", "p/#", "-C", "1", "-F", "%r %p") == ["1 retained"]
