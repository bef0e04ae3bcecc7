"""Publishers at full speed and readers in threads of their own, for tests of what happens at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import wire
from raw import Client

CHUNK = 50


class Load:
    """Publishers that write `count` events each to `<prefix>/<publisher>`, and a count of what was acknowledged.

    With `may_break` a lost connection ends a publisher quietly. A test that clears `gate` holds the last fifth back
    until it sets it again.
    """

    def __init__(self, port: int, prefix: str, publishers: int, count: int):
        self.port, self.prefix, self.count = port, prefix, count
        self.acknowledged: dict[str, dict[int, str]] = {f"{prefix}/{number}": {} for number in range(publishers)}
        self.sent: dict[str, int] = dict.fromkeys(self.acknowledged, 0)
        self.done = 0
        self.may_break = False
        self.gate = threading.Event()
        self.gate.set()
        self.news = threading.Condition()
        self.threads = [Thread(self.publish, topic) for topic in self.acknowledged]

    @property
    def total(self) -> int:
        """All events that will have been published."""
        return self.count * len(self.acknowledged)

    def start(self, first: int = 0) -> Load:
        """Lets the publishers run; payloads count on from `first`."""
        self.first = first
        for thread in self.threads:
            thread.start()
        return self

    def publish(self, topic: str) -> None:
        """One publisher: chunks of QoS 1 without a pause; ends early when the broker goes away."""
        try:
            client = Client(self.port)
            client.connect()
            for base in range(self.first, self.first + self.count, CHUNK):
                if base - self.first >= self.count * 4 // 5:
                    self.gate.wait()
                self.chunk(client, topic, range(base, min(base + CHUNK, self.first + self.count)))
            client.disconnect()
        except (OSError, AssertionError):
            if not self.may_break:
                raise

    def chunk(self, client: Client, topic: str, numbers: range) -> None:
        """Sends in one write, then waits for every acknowledgement."""
        ids = {client.next_id(): number for number in numbers}
        self.sent[topic] = numbers.stop
        client.send(
            b"".join(wire.publish(5, topic, b"%d" % n, 1, False, False, packet_id, []) for packet_id, n in ids.items())
        )
        for packet_id, number in ids.items():
            ack = client.expect(wire.PUBACK, packet_id)
            self.acknowledged[topic][int(ack.user_value("es-seq"))] = str(number)
            with self.news:
                self.done += 1
                self.news.notify_all()

    def wait(self, done: int, timeout: float = 60.0) -> None:
        """Waits until so many events are acknowledged."""
        with self.news:
            assert self.news.wait_for(lambda: self.done >= done, timeout), f"{self.done} of {done} acknowledged"

    def join(self) -> None:
        """Waits for the publishers; a fault of theirs is raised here."""
        for thread in self.threads:
            thread.finish()


def bulk(port: int, topics: list[str], numbers: range, size: int = 0, window: int = 1000) -> None:
    """Publishes numbers at QoS 1, in turn to the topics, each padded to `size` bytes; all must be acknowledged."""
    client = Client(port, version=4)
    client.connect()
    ids = range(1, window + 1)
    for base in range(numbers.start, numbers.stop, window):
        part = range(base, min(base + window, numbers.stop))
        packets = [
            wire.publish(4, topics[number % len(topics)], (b"%d" % number).ljust(size), 1, False, False, packet_id, [])
            for packet_id, number in zip(ids, part)
        ]
        client.send(b"".join(packets))
        for packet_id in ids[: len(part)]:
            client.expect(wire.PUBACK, packet_id)
    client.disconnect()


class Thread(threading.Thread):
    """A thread whose result or fault is handed over by `finish`."""

    def __init__(self, work: Callable, *args):
        super().__init__(daemon=True)
        self.work, self.args = work, args
        self.result = self.fault = None

    def run(self) -> None:
        """Keeps what the work returns or raises."""
        try:
            self.result = self.work(*self.args)
        except BaseException as fault:  # handed to the thread that waits
            self.fault = fault

    def finish(self, timeout: float = 80.0):
        """The result, once it is there."""
        self.join(timeout)
        assert not self.is_alive(), "the thread did not end"
        if self.fault is not None:
            raise self.fault
        return self.result
