"""Starts, stops and kills the broker binary and reads what it tells. Knows no MQTT."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = Path(os.environ.get("REWINDMQ_BINARY", TARGET / "debug" / "rewindmq"))
START_DEADLINE = 30.0
STOP_DEADLINE = 30.0

RUNNING: list[Broker] = []


class Broker:
    """One broker process with its own data folder; ports are chosen by the system at each start."""

    def __init__(
        self, config: dict | str | None = None, store=(), args=(), env=None, data=None, flags=True, around=()
    ):
        self.folder = tempfile.TemporaryDirectory(prefix="rewindmq-test-")
        self.data = Path(data) if data else Path(self.folder.name) / "data"
        self.config = config
        self.options = [item for rule in store for item in ("--store", rule)] + list(args)
        self.env = env or {}
        self.flags = flags
        self.around = list(around)
        self.process: subprocess.Popen | None = None
        self.log: list[str] = []
        self.seen = 0
        self.news = threading.Condition()
        self.port = self.http_port = 0
        self.reader: threading.Thread | None = None

    def command(self) -> list[str]:
        """The command line."""
        line = [*self.around, str(BINARY)]
        if self.flags:
            line += ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(self.data)]
        if self.config is not None:
            path = Path(self.folder.name) / "rewindmq.toml"
            path.write_text(self.config if isinstance(self.config, str) else toml(self.config))
            line += ["--config", str(path)]
        return line + self.options

    def launch(self) -> Broker:
        """Starts the process and its log reader; waits for nothing."""
        self.seen = len(self.log)
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.env},
        )
        self.reader = threading.Thread(target=self.read_log, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        RUNNING.append(self)
        return self

    def start(self) -> Broker:
        """Starts and waits until both listeners are announced in the log."""
        self.launch()
        self.port = self.announced(r"^(?!.*http listening).*\blistening\b.*\baddress=\S*?:(\d+)")
        self.http_port = self.announced(r"http listening\b.*\baddress=\S*?:(\d+)")
        return self

    def announced(self, pattern: str) -> int:
        """The port in the log line of this start that matches."""
        return int(self.wait_log(pattern, START_DEADLINE).group(1))

    def read_log(self, stream) -> None:
        """Collects the log, without colours, until the process ends."""
        for line in stream:
            clean = re.sub(r"\x1b\[[0-9;]*m", "", line.decode(errors="replace")).rstrip()
            with self.news:
                self.log.append(clean)
                self.news.notify_all()
        with self.news:
            self.log.append("(end of log)")
            self.news.notify_all()

    def wait_log(self, pattern: str, timeout: float = 10.0) -> re.Match:
        """The first match in the log of this start."""
        deadline, at = time.monotonic() + timeout, self.seen
        with self.news:
            while True:
                while at < len(self.log):
                    if found := re.search(pattern, self.log[at]):
                        return found
                    if self.log[at] == "(end of log)":
                        raise AssertionError(f"the broker ended; no log line matches {pattern}:\n{self.tail()}")
                    at += 1
                if not self.news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"no log line matches {pattern}:\n{self.tail()}")

    def tail(self, lines: int = 60) -> str:
        """The end of the log."""
        return "\n".join(self.log[-lines:])

    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def ended(self, timeout: float = STOP_DEADLINE) -> int:
        """Waits for the process to end by itself; its exit code."""
        code = self.process.wait(timeout)
        self.reader.join(timeout)
        RUNNING.remove(self)
        return code

    def stop(self) -> None:
        """SIGTERM; the exit code must be 0 and the log free of panics."""
        self.process.send_signal(signal.SIGTERM)
        code = self.ended()
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.tail()}"
        assert not any("panicked" in line for line in self.log), self.tail()

    def kill9(self) -> None:
        """SIGKILL: a crash."""
        self.process.kill()
        self.ended()

    def restart(self) -> Broker:
        """Graceful stop, then start on the same data folder."""
        self.stop()
        return self.start()

    def crash(self) -> Broker:
        """kill -9, then start on the same data folder."""
        self.kill9()
        return self.start()

    def close(self) -> None:
        """Ends whatever still runs and removes the folder."""
        if self.alive():
            self.stop()
        elif self in RUNNING:
            code = self.ended()
            raise AssertionError(f"the broker ended by itself, exit code {code}:\n{self.tail()}")
        self.folder.cleanup()

    def http(self, path: str) -> str:
        """The body of an HTTP GET."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metrics(self) -> Metrics:
        """What /metrics says now."""
        return Metrics(self.http("/metrics"))

    def wait_metrics(self, condition, timeout: float = 15.0) -> Metrics:
        """Polls /metrics until the condition holds."""
        deadline = time.monotonic() + timeout
        while True:
            now = self.metrics()
            if condition(now):
                return now
            assert time.monotonic() < deadline, f"condition never held; /metrics:\n{now.text}"
            time.sleep(0.05)

    def wait_refused(self, count: float, reason: str) -> None:
        """Until so many connections were refused for a reason: the counter may move a moment after one has closed."""
        self.wait_metrics(lambda now: now.total("rewindmq_connections_refused_total", reason=reason) == count)


def run(*arguments: str | Path, env=None, timeout: float = 60) -> subprocess.CompletedProcess:
    """A command of the binary that ends by itself; its output is text."""
    return subprocess.run(
        [str(BINARY), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )


class Metrics:
    """A parsed Prometheus text page."""

    LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
    LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text: str):
        self.text = text
        self.samples: list[tuple[str, dict[str, str], float]] = []
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.helped = set(re.findall(r"^# HELP (\S+) \S", text, re.M))
        for line in text.splitlines():
            if line and not line.startswith("#"):
                found = self.LINE.match(line)
                assert found, f"no Prometheus sample: {line!r}"
                labels = dict(self.LABEL.findall(found[2] or ""))
                self.samples.append((found[1], labels, float(found[3])))

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of this name with these labels; an unknown name counts as 0."""
        return sum(
            value
            for key, have, value in self.samples
            if key == name and all(have.get(label) == wanted for label, wanted in labels.items())
        )

    def sum_like(self, pattern: str) -> float:
        """The sum over all samples whose name matches."""
        return sum(value for key, _, value in self.samples if re.search(pattern, key))


def toml(tree: dict, path: str = "") -> str:
    """A nested dict as TOML; lists of dicts become arrays of tables."""
    lines, tables = [], []
    for key, value in tree.items():
        name = f"{path}.{quote_key(key)}" if path else quote_key(key)
        if isinstance(value, dict):
            tables.append(f"\n[{name}]\n{toml(value, name)}")
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            tables += [f"\n[[{name}]]\n{toml(one, name)}" for one in value]
        else:
            lines.append(f"{quote_key(key)} = {literal(value)}\n")
    return "".join(lines + tables)


def quote_key(key: str) -> str:
    """A key, bare where it may be."""
    return key if re.fullmatch(r"[\w-]+", key) else literal(key)


def literal(value) -> str:
    """A TOML value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
