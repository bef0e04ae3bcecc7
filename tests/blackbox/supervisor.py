"""Plays the service manager: the socket that a broker tells what it is at, and the environment that names it."""

from __future__ import annotations

import socket
import time
import uuid
from pathlib import Path


class Supervisor:
    """A datagram socket, bound to a file or, without a folder, to a name that has none."""

    def __init__(self, folder: Path | None = None, watchdog: float | None = None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"{folder}/notify" if folder else f"@rewindmq-test-{uuid.uuid4()}"
        self.socket.bind(name if folder else "\0" + name[1:])
        self.env = {"NOTIFY_SOCKET": name}
        if watchdog:
            self.env["WATCHDOG_USEC"] = str(int(watchdog * 1e6))

    def next(self, timeout: float = 30.0) -> dict[str, str]:
        """The next message."""
        self.socket.settimeout(timeout)
        return dict(line.split("=", 1) for line in self.socket.recv(65_536).decode().splitlines())

    def until(self, name: str, timeout: float = 30.0) -> dict[str, str]:
        """The next message with a variable; those before it are passed over."""
        deadline = time.monotonic() + timeout
        while name not in (told := self.next(max(deadline - time.monotonic(), 0.001))):
            pass
        return told

    def drain(self) -> list[dict[str, str]]:
        """What has come and was not read."""
        told = []
        self.socket.setblocking(False)
        while True:
            try:
                datagram = self.socket.recv(65_536).decode()
            except BlockingIOError:
                return told
            told.append(dict(line.split("=", 1) for line in datagram.splitlines()))

    def wait_silent(self, seconds: float, timeout: float = 60.0) -> None:
        """Until nothing has come for so long: it may take a moment until the last word is here."""
        deadline = time.monotonic() + timeout
        while True:
            self.drain()
            time.sleep(seconds)
            if not (told := self.drain()):
                return
            assert time.monotonic() < deadline, f"still told {told}"

    def close(self) -> None:
        """Nobody listens any more."""
        self.socket.close()
