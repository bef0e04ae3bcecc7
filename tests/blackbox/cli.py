"""Runs `rewindmq sub` beside a test as a person would: reads its lines, interrupts it. Knows no option."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import threading
import time

from broker import BINARY, Broker

DEADLINE = 20.0
NUMBERS = itertools.count(1)


def url(broker: Broker) -> dict[str, str]:
    """The variable that tells the commands where the broker is."""
    return {"REWINDMQ_MQTT_URL": f"mqtt://127.0.0.1:{broker.port}"}


class Sub:
    """A subscriber that runs until it is ended; leaving ends it."""

    def __init__(self, broker: Broker, *args: str, reading: bool = True):
        self.broker, self.reading = broker, reading
        names = [value for option, value in itertools.pairwise(args) if option in ("-i", "--durable")]
        self.client_id = names[0] if names else f"cli-sub-{next(NUMBERS)}"
        self.line = [str(BINARY), "sub", *args, *([] if names else ["-i", self.client_id])]
        self.lines: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Sub:
        self.process = subprocess.Popen(
            self.line,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **url(self.broker)},
        )
        if self.reading:
            self.read()
        self.wait_subscribed()
        return self

    def wait_subscribed(self) -> None:
        """Until the broker has its subscription."""
        deadline = time.monotonic() + DEADLINE
        while not json.loads(self.broker.http(f"/api/v1/subscriptions?client_id={self.client_id}"))["items"]:
            assert self.process.poll() is None, f"{self.line} ended: {self.process.stderr.read()}"
            assert time.monotonic() < deadline, f"{self.line} did not subscribe"
            time.sleep(0.02)

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.process.stderr.close()

    def read(self) -> None:
        """Begins to read what it prints."""
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self) -> None:
        try:
            for line in self.process.stdout:
                self.lines.put(line.removesuffix("\n"))
        except ValueError:
            pass
        self.lines.put(None)

    def next(self) -> str:
        """The next line."""
        line = self.lines.get(timeout=DEADLINE)
        assert line is not None, f"{self.line} printed no further line: {self.process.stderr.read()}"
        return line

    def rest(self) -> list[str]:
        """The lines until its end."""
        return list(iter(lambda: self.lines.get(timeout=DEADLINE), None))

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE)
