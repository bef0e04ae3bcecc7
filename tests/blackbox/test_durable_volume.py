"""What waits for absent durable subscribers costs disk: not memory, and not the time of the next start."""

import time
from pathlib import Path

from filling import numbers
from load import bulk

WARM, COUNT, SIZE = 20_000, 200_000, 200
TOPICS = [f"p/{number}" for number in range(10)]


def anonymous_mebibytes(one):
    """Resident memory of the broker that is no file's (RssAnon)."""
    for line in Path(f"/proc/{one.process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no RssAnon in /proc")


def seconds_to_start(one):
    """kill -9, and how long the start takes."""
    one.kill9()
    started = time.monotonic()
    one.start()
    return time.monotonic() - started


def test_waiting_messages_cost_neither_memory_nor_time_to_start(brokers, durable, back):
    one = brokers()
    client = durable(one, "me")
    client.granted("p/#", qos=1)
    client.disconnect()
    bulk(one.port, TOPICS, range(WARM), size=SIZE)
    empty = seconds_to_start(brokers())
    before = anonymous_mebibytes(one)
    bulk(one.port, TOPICS, range(WARM, COUNT), size=SIZE)
    grown = anonymous_mebibytes(one) - before
    assert one.metrics().sum_like("^rewindmq_dropped_total$") == 0
    assert grown < 8, f"{grown:.1f} MiB for {(COUNT - WARM) * SIZE >> 20} MiB of waiting payload"
    full = seconds_to_start(one)
    assert full < 5 * empty + 3, f"{full:.2f} s, with an empty store {empty:.2f} s"
    assert anonymous_mebibytes(one) < before + 8
    assert one.metrics().sum_like("^rewindmq_dropped_total$") == 0
    assert numbers(back(one, "me").messages(3000)) == [*range(3000)]
