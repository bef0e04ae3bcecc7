"""A program that a page starts: what it printed so far, whether that is what the page says, and its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

DEADLINE = 40.0
TURN = 0.05


class Running:
    """A process with those that it starts. Its output, both streams in one, is read beside it."""

    def __init__(self, line: list[str], place: str, folder: Path, env: dict[str, str]):
        self.place = place
        self.output = b""
        self.process = subprocess.Popen(
            line,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        """Collects the output until nobody can write to it any more."""
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            self.output += chunk

    def text(self) -> str:
        """What it printed so far, without colours and blanks at the ends of lines."""
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.output.decode(errors="replace"))
        return "".join(line.rstrip() + "\n" for line in plain.splitlines())

    def has_ended(self) -> bool:
        """Whether it ended and all it printed was read."""
        return self.process.poll() is not None and not self.reader.is_alive()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until the condition holds, which must be in time and before the program has ended."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert not self.has_ended(), self.story(f"it ended with {self.process.returncode} before {what}")
            assert time.monotonic() < deadline, self.story(f"it takes too long {what}")
            time.sleep(TURN)

    def ends(self, well: bool) -> None:
        """It ends by itself, with exit code 0 if that is `well`."""
        self.reader.join(DEADLINE)
        assert not self.reader.is_alive(), self.story("it does not end")
        code = self.process.wait(DEADLINE)
        assert (code == 0) == well, self.story(f"exit code {code}")

    def printed(self, expected: str) -> None:
        """What it printed is what the page shows."""
        assert pattern_of(expected).fullmatch(self.text()), self.differs(expected)

    def prints(self, expected: str) -> None:
        """It prints what the page shows, sooner or later; whether it goes on then does not matter."""
        deadline = time.monotonic() + DEADLINE
        while not pattern_of(expected).fullmatch(self.text()):
            over = self.has_ended() or time.monotonic() > deadline
            assert not over or pattern_of(expected).fullmatch(self.text()), self.differs(expected)
            time.sleep(TURN)

    def differs(self, expected: str) -> str:
        """What the page says and what is true."""
        return self.story(f"the page says that it prints\n{expected}")

    def story(self, what: str) -> str:
        """A fault with all that is known."""
        return f"{self.place}: {what}\nIt printed\n{self.text()}"

    def end(self) -> None:
        """Ends it with all that it started: in order, or by force."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self.reader.is_alive() or self.process.poll() is None:
                os.killpg(self.process.pid, how)
                self.reader.join(DEADLINE)
        self.process.wait(DEADLINE)
        self.process.stdout.close()


def pattern_of(expected: str) -> re.Pattern:
    """What a page shows as a pattern: `...` stands for any text, on a line of its own for any lines."""
    lines = []
    for line in expected.splitlines():
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*")
        else:
            lines.append(".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n")
    return re.compile("".join(lines))
