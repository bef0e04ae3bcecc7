"""Starts Debian's Prometheus on a broker and asks it. Knows no metric."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from broker import ROOT

CONF = ROOT / "conf"
UNPACKED = ROOT / "target" / "tools" / "prometheus" / "usr" / "bin"
DEADLINE = 60.0


def tool(name: str) -> str:
    """The path of prometheus or promtool."""
    path = UNPACKED / name if (UNPACKED / name).exists() else shutil.which(name)
    assert path, f"{name} is missing: scripts/test unpacks Debian's package prometheus"
    return str(path)


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """What promtool says; it must be content."""
    command = [tool("promtool"), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


class Prometheus:
    """A Prometheus with the configuration of conf/, every second, on the metrics of one broker."""

    def __init__(self, folder: Path, http_port: int):
        config = replaced((CONF / "prometheus.yml").read_text(), "127.0.0.1:9883", f"127.0.0.1:{http_port}")
        config = replaced(replaced(config, "scrape_interval: 15s", "scrape_interval: 1s"), "evaluation_interval: 15s", "evaluation_interval: 1s")
        (folder / "prometheus.yml").write_text(config)
        shutil.copy(CONF / "prometheus-alerts.yml", folder)
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        self.ready = threading.Event()
        threading.Thread(target=self.read_log, daemon=True).start()
        if not (self.ready.wait(DEADLINE) and self.port):
            self.stop()
            raise AssertionError("Prometheus does not start:\n" + "\n".join(self.log[-30:]))

    def read_log(self) -> None:
        """Waits for the port and for it to be ready."""
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if found := re.search(r'msg="?Listening on"? address=\S*:(\d+)', line):
                self.port = int(found[1])
            if "ready to receive web requests" in line:
                self.ready.set()
        self.ready.set()

    def stop(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def api(self, path: str, **parameters: str):
        """The data of an answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as fault:
            raise AssertionError(f"{parameters or path}: {fault.read().decode()}") from None

    def query(self, expression: str) -> list[dict]:
        """The samples that an expression has now; a fault in it fails the test."""
        return self.api("query", query=expression)["result"]

    def names(self) -> set[str]:
        """The names of all metrics that were scraped."""
        return set(self.api("label/__name__/values"))

    def rules(self) -> list[dict]:
        """The alerts with their state."""
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]


def until(look, wanted, meanwhile=lambda: None):
    """Looks until it is as wanted; does something between two looks."""
    deadline = time.monotonic() + DEADLINE
    while not wanted(found := look()):
        assert time.monotonic() < deadline, f"it stays at {found}"
        meanwhile()
        time.sleep(0.1)
    return found


def replaced(text: str, old: str, new: str) -> str:
    """The text with its one `old` replaced."""
    assert text.count(old) == 1, f"{old} is there {text.count(old)} times"
    return text.replace(old, new)


def metric_names(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', "", re.sub(r'"[^"]*"', "", expression))
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", bare)
    return set(words) - {"and", "or", "unless", "bool"}
