"""Does what a page says: runs its blocks in order in one folder, as a reader would, and compares what they print."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import mosquitto
from broker import BINARY, ROOT, TARGET
from pages import Block
from running import Running

DEADLINE = 30.0
PORTS = ["1883", "8883", "8083", "9883"]
# Ports that one worker of pytest chooses from, and how many have such a share.
SHARE, SHARES = 1_000, 20
FOLDERS = ["/etc/rewindmq", "/var/lib/rewindmq", "/backups"]
NODE_MODULES = ROOT / ".venv/node/node_modules"
# How blocks are run. What is Rust was built before (see pages.RUST).
STARTS = {
    "sh": ["bash", "-e", "-o", "pipefail", "-c", "{text}"],
    "python": [sys.executable, "-c", "{text}"],
    "js": ["node", "-e", "{text}"],
    "rust": [str(TARGET / "debug/examples/replay"), "{port}"],
}
# How blocks are looked at that are not run: by whoever would complain about them.
LOOKS = {
    "sh": ["bash", "-n", "{path}"],
    "toml": ["{binary}", "check", "--config", "{path}"],
    "json": [sys.executable, "-m", "json.tool", "{path}"],
    "python": [sys.executable, "-m", "py_compile", "{path}"],
    "js": ["node", "--check", "{path}"],
    "c": ["cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I{headers}", "-xc", "{path}"],
}
HEADERS = ROOT / "tests/blackbox/esp"
# What readers have at its default address is elsewhere here. `cargo run --release` was done by who started the tests.
PROGRAMS = {
    "mosquitto_pub": 'exec {mosquitto_pub} -p {1883} "$@"',
    "mosquitto_sub": 'exec stdbuf -oL {mosquitto_sub} -p {1883} "$@"',
    "cargo": '[ "$*" = "run --release" ] && exec rewindmq; echo "cargo: not in the tests" >&2; exit 1',
    # What the API refuses is no success of a page.
    "curl": 'exec {curl} --fail-with-body "$@"',
    "python3": 'exec {python} "$@"',
    "rewindmq": """case "${1--}" in
        -*) case " $* " in *" --listen "*|*" --config "*) ;; *) set -- --listen 127.0.0.1:{1883} "$@" ;; esac ;;
        esac
        exec {binary} "$@" """,
}


class Walk:
    """One reader's folder, a fresh `clone` if need be, and what runs in it. Leaving ends all of it."""

    def __init__(self, folder: Path, clone: bool = False):
        self.folder = folder
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.broker: Running | None = None
        self.staying: list[Running] = []
        self.home = folder / "home"
        self.bin = folder / "bin"
        self.bin.mkdir()
        if clone:
            shutil.copytree(ROOT, self.home, ignore=shutil.ignore_patterns(".git", ".venv", "target", "data"))
        else:
            self.home.mkdir()
            for name in ("conf", "scripts"):
                (self.home / name).symlink_to(ROOT / name)
        (self.home / "node_modules").symlink_to(NODE_MODULES)
        for path in FOLDERS:
            self.elsewhere(path).mkdir(parents=True)
        places = {"binary": str(BINARY), "python": sys.executable, **self.ports}
        places |= {name: mosquitto.found(name) for name in ("mosquitto_pub", "mosquitto_sub", "curl")}
        for name, line in PROGRAMS.items():
            program = self.bin / name
            program.write_text("#!/bin/sh\n" + re.sub(r"\{(\w+)\}", lambda found: places[found[1]], line) + "\n")
            program.chmod(0o755)

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def end(self) -> None:
        """Ends all that stays, the broker last."""
        for one in self.staying:
            one.end()
        if self.broker:
            self.broker.end()
        self.staying, self.broker = [], None

    def elsewhere(self, path: str) -> Path:
        """Where a folder of the system is in the test."""
        return self.folder / path.lstrip("/")

    def rewritten(self, text: str) -> str:
        """The text with the test's ports and folders in the place of the documented ones."""
        for port, here in self.ports.items():
            text = re.sub(rf"\b{port}\b", here, text)
        for path in FOLDERS:
            text = re.sub(rf"(?<![\w.]){path}\b", str(self.elsewhere(path)), text)
        return text

    def go(self, blocks: list[Block]) -> None:
        """Runs the blocks that are to be run, with a broker as the README starts it unless they start their own."""
        for block in blocks:
            if block.runs and not self.broker and block.note != "broker":
                self.start_broker("rewindmq", "a broker with defaults")
            self.step(block)

    def step(self, block: Block) -> None:
        """Does what is to be done with one block."""
        if block.language == "text" and block.note == "stays":
            self.staying[-1].prints(self.rewritten(block.text))
        elif not block.runs:
            self.look(block)
        elif block.note == "broker":
            self.start_broker(block.text, block.place)
        elif block.note == "stays":
            before = self.subscriptions()
            self.staying.append(self.launch(block.language, block.text, block.place))
            self.staying[-1].wait(lambda: self.subscriptions() - before, "it has subscribed")
        else:
            self.run(block)

    def run(self, block: Block) -> None:
        """Runs a block to its end, or until it has printed what it is to print."""
        expected = self.rewritten(block.output.text) if block.output else ""
        running = self.launch(block.language, block.text, block.place)
        try:
            if block.note == "goes on":
                running.prints(expected)
            else:
                running.ends(well=block.note != "fails")
                if block.output:
                    running.printed(expected)
        finally:
            running.end()

    def look(self, block: Block) -> None:
        """Looks at a block that is not run."""
        path = self.folder / "looked-at"
        path.write_text(self.rewritten(block.text))
        if line := LOOKS.get(block.language):
            line = [word.format(path=path, binary=BINARY, headers=HEADERS) for word in line]
            done = subprocess.run(line, capture_output=True, text=True, timeout=DEADLINE)
            assert done.returncode == 0, f"{block.place}: {line}\n{done.stdout}{done.stderr}"

    def launch(self, language: str, text: str, place: str) -> Running:
        """Starts a program in the reader's folder."""
        line = [word.format(text=self.rewritten(text), port=self.ports["1883"]) for word in STARTS[language]]
        return Running(line, place, self.home, {**os.environ, **self.variables()})

    def variables(self) -> dict[str, str]:
        """Where things are that a reader has at their default addresses."""
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            "REWINDMQ__HTTP__ADDRESS": f"127.0.0.1:{self.ports['9883']}",
            "REWINDMQ_API": f"http://127.0.0.1:{self.ports['9883']}",
            "REWINDMQ_MQTT_URL": f"mqtt://127.0.0.1:{self.ports['1883']}",
        }

    def start_broker(self, text: str, place: str) -> None:
        """Ends the broker from before, and what used it, and starts this one."""
        self.end()
        self.broker = self.launch("sh", text, place)
        self.broker.wait(self.is_ready, "it is ready")

    def is_ready(self) -> bool:
        """Whether the broker serves."""
        return self.http("/readyz") is not None

    def subscriptions(self) -> set[tuple[str, str]]:
        """Who subscribes to what now."""
        found = json.loads(self.http("/api/v1/subscriptions") or "{}")
        return {(one["client_id"], one["filter"]) for one in found.get("items", [])}

    def http(self, path: str) -> str | None:
        """The body of an HTTP GET, or nothing if that fails."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['9883']}{path}", timeout=DEADLINE) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return None


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, below those that the system gives to whoever asks for any; tests beside this one have others."""
    first = 10_000 + SHARE * (int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "0"))) % SHARES)
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(first, first + SHARE)
        if port in found:
            continue
        with socket.socket() as one:
            try:
                one.bind(("0.0.0.0", port))
            except OSError:
                continue
        found.append(port)
    return found
