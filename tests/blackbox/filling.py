"""Publishes until the broker refuses, and until it takes messages again. Every wait has a deadline."""

from __future__ import annotations

import itertools
import time

from raw import Client

DEADLINE = 20.0


def padded(number: int, size: int) -> bytes:
    """A number as payload, padded to so many bytes; `numbers` reads it."""
    return (b"%d" % number).ljust(size)


def numbers(packets) -> list[int]:
    """The numbers in the payloads."""
    return [int(got.payload) for got in packets]


def until_refused(client: Client, topic: str, first: int = 0, size: int = 0) -> range:
    """Publishes numbers from `first` on until one is refused with 0x97; the numbers that were taken."""
    deadline = time.monotonic() + DEADLINE
    for number in itertools.count(first):
        ack = client.publish(topic, padded(number, size))
        if ack.reason == 0x97:
            assert ack.prop("reason_string")
            return range(first, number)
        assert ack.reason < 0x80, hex(ack.reason)
        assert time.monotonic() < deadline, f"{number - first + 1} messages were taken and none was refused"


def until_taken(client: Client, topic: str, wanted: range, size: int = 0) -> None:
    """Publishes numbers, each as often as it is refused with 0x97, until all are taken."""
    deadline = time.monotonic() + DEADLINE
    for number in wanted:
        while (ack := client.publish(topic, padded(number, size))).reason == 0x97:
            assert time.monotonic() < deadline, f"{number} is still refused"
            time.sleep(0.02)
        assert ack.reason < 0x80, hex(ack.reason)
