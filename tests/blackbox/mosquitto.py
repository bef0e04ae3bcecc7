"""Runs mosquitto_pub and mosquitto_sub as a user would type them and collects what they print."""

from __future__ import annotations

import queue
import re
import shutil
import subprocess
import threading
import time

DEADLINE = 20.0
DEBUG_LINE = re.compile(r"^(Client \S* ?(sending|received) |Subscribed \(mid)")


def pub(port: int, *args: str, check: bool = True) -> subprocess.CompletedProcess:
    """mosquitto_pub to its end."""
    return run("mosquitto_pub", port, *args, check=check)


def sub(port: int, *args: str, check: bool = True, deadline: float = DEADLINE) -> list[str]:
    """mosquitto_sub that ends by itself (-C, -E); the lines it printed."""
    line = ("-W", str(int(deadline)), *args)
    return run("mosquitto_sub", port, *line, check=check, deadline=deadline).stdout.splitlines()


def run(
    program: str, port: int, *args: str, check: bool = True, deadline: float = DEADLINE, given: bytes = b""
) -> subprocess.CompletedProcess:
    """A client program to its end, with `given` as its standard input; a failure shows the end of what it printed."""
    line = [found(program), "-p", str(port), *args]
    done = subprocess.run(line, input=given.decode(), capture_output=True, text=True, timeout=deadline + 10)
    if check:
        said = f"{done.stdout[-500:]}{done.stderr[-2000:]}"
        assert done.returncode == 0, f"{line} ended with {done.returncode}:\n{said}"
    return done


def found(program: str) -> str:
    """Where the program is."""
    path = shutil.which(program)
    assert path, f"{program} is missing: install mosquitto-clients"
    return path


class Sub:
    """A mosquitto_sub that runs beside the test. Entering waits for its SUBACK; leaving ends it."""

    def __init__(self, port: int, *args: str):
        self.line = ["stdbuf", "-oL", found("mosquitto_sub"), "-p", str(port), *args, "-d"]
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.subscribed = threading.Event()
        self.printed: list[str] = []

    def __enter__(self) -> Sub:
        self.process = subprocess.Popen(self.line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        assert self.subscribed.wait(DEADLINE), f"{self.line} was not subscribed:\n" + "\n".join(self.printed)
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.process.stdout.close()

    def read(self) -> None:
        """Sorts the output into messages and debug lines."""
        try:
            for line in self.process.stdout:
                self.printed.append(line.rstrip("\n"))
                if line.startswith("Subscribed"):
                    self.subscribed.set()
                elif not DEBUG_LINE.match(line):
                    self.lines.put(line.rstrip("\n"))
        except ValueError:
            pass
        self.lines.put(None)

    def next(self, timeout: float = DEADLINE) -> str:
        """The next message it prints."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            line = None
        assert line is not None, f"{self.line} printed no further message:\n" + "\n".join(self.printed)
        return line

    def until(self, last: str) -> list[str]:
        """All messages before this one, which ends the wait and is left out."""
        found_lines, deadline = [], time.monotonic() + DEADLINE
        while (line := self.next(deadline - time.monotonic())) != last:
            found_lines.append(line)
        return found_lines
