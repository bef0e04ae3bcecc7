"""The live picture of a broker: what is behind, waits and is busy; on a screen of 80 columns and 24 rows, and for programs."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from broker import BINARY
from test_api import Api, publish, receive
from test_cli_ops import ask, said

LINE = re.compile(r"\x1b\[(\d+);1H([^\x1b]*)")


@pytest.fixture(scope="module")
def served(broker):
    """A broker with a cursor and a group that are behind, and its API."""
    api = Api(broker)
    for number in range(1, 6):
        publish(api, "s/long/topic/" + "x" * 100, f"m{number}")
    receive(api, "s/#", start="first", client_id="far-behind", count=1)
    receive(api, "s/#", start="first", group="near", count=3)
    return broker, api


def test_one_picture_is_printed(served):
    broker, _ = served
    picture = said(broker, "top", "--once", "--interval", "100ms")
    lines = picture.splitlines()
    assert len(lines) < 24 and all(len(line) <= 80 for line in lines), picture
    assert lines[0].startswith("RewindMQ ") and f":{broker.http_port}" in lines[0]
    behind = [line.split() for line in lines[lines.index("") + 2 :] if "behind" in line or "near" in line]
    assert [(row[0], row[-2]) for row in behind] == [("4", "client"), ("2", "group")], picture


def test_pictures_are_documents_for_programs(served):
    broker, api = served
    document = json.loads(said(broker, "top", "--once", "--interval", "100ms", "--json"))
    assert document["broker"]["version"] == api.get("/broker")["version"]
    assert [(cursor["owner"], cursor["lag"]["events"]) for cursor in document["cursors"]][:2] == [("far-behind", 4), ("near", 2)]
    assert document["per_second"]["messages_received"] >= 0
    assert document["channels"] == []


class Screen:
    """The program at a terminal of 80 columns and 24 rows."""

    def __init__(self, broker, *words):
        self.terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "REWINDMQ_API": f"http://127.0.0.1:{broker.http_port}"}
        start = {"stdin": side, "stdout": side, "stderr": side, "start_new_session": True}
        self.process = subprocess.Popen([BINARY, *words], env=environment, **start)
        os.close(side)
        self.shown = ""

    def read(self):
        """Whether something more was shown."""
        try:
            self.shown += os.read(self.terminal, 100_000).decode(errors="replace")
        except OSError:
            return False
        return True

    def until(self, wanted):
        """Reads until it is shown."""
        while not wanted(self.shown):
            assert self.read(), self.shown
        return self.shown

    def press(self, keys):
        """What the user types."""
        os.write(self.terminal, keys)


@pytest.mark.parametrize("keys", [b"q", b"\x03"])
def test_a_screen_shows_new_pictures_until_a_key_is_pressed(served, keys):
    broker, api = served
    screen = Screen(broker, "top", "--interval", "100ms")
    screen.until(lambda shown: "far-behind" in shown and "q: quit" in shown)
    publish(api, "other/topic", "x")
    publish(api, "s/busy", "x")
    screen.until(lambda shown: re.search(r"\x1b\[\d+;1H *\d+\.\d  s/busy", shown))
    lines = LINE.findall(screen.shown)
    assert lines and all(int(row) <= 23 and len(line) <= 80 for row, line in lines), screen.shown
    screen.press(keys)
    while screen.read():
        pass
    os.close(screen.terminal)
    assert screen.process.wait(60) == 0
    # The terminal is as it was: its own screen, its cursor.
    assert "\x1b[?1049l" in screen.shown and "\x1b[?25h" in screen.shown


def test_a_screen_stays_while_the_broker_is_away(brokers):
    one = brokers()
    screen = Screen(one, "top", "--interval", "100ms")
    screen.until(lambda shown: "RewindMQ " in shown)
    one.stop()
    screen.until(lambda shown: "nobody listens" in shown)
    screen.press(b"q")
    while screen.read():
        pass
    os.close(screen.terminal)
    assert screen.process.wait(60) == 0


def test_too_short_an_interval_is_refused(served):
    broker, _ = served
    done = ask(broker, "top", "--interval", "1ms")
    assert done.returncode == 2 and "100ms" in done.stderr
