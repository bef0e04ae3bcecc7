"""A new user with nothing but the README and a fresh clone: start, replay, lag, kick, backup, restore, and a network with TLS."""

import socket

import pytest

import mosquitto
from broker import ROOT
from pages import TOUR, sections
from walk import Walk

STEPS = ["Replay in one minute", "See who is behind, and act", "Back up and restore", "Open it to a network"]
PRESS = ("-u", "press-7", "-P", "battery staple")


@pytest.mark.timeout(300)
def test_a_new_user_goes_through_the_readme(tmp_path):
    readme = (ROOT / "README.md").read_text()
    tour = readme[readme.index(f"\n## {TOUR}\n") :]
    assert [line[4:] for line in tour[: tour.index("\n## ", 1)].splitlines() if line.startswith("### ")] == STEPS
    (one,) = [one for one in sections(ROOT / "README.md") if one.title == TOUR]
    with Walk(tmp_path, clone=True) as walk:
        walk.go(one.blocks)
        look_at_the_network(walk)


def look_at_the_network(walk):
    """What the last step left: a broker that others reach by TLS only, and only with a right to."""
    address, port, folder = own_address(), int(walk.ports["8883"]), walk.elsewhere("/etc/rewindmq")
    for name in ("users", "server.key"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name
    # The certificate names the machine and not its address.
    line = ["-V", "5", "-q", "1", "-h", address, "--cafile", str(folder / "server.pem"), "--insecure", "-m", "x"]
    mosquitto.pub(port, *line, *PRESS, "-t", "plant/press-7/a")
    other = mosquitto.pub(port, *line, *PRESS, "-t", "plant/press-8/a", check=False)
    assert "Not authorized" in other.stderr
    wrong = mosquitto.pub(port, *line, "-u", "press-7", "-P", "wrong", "-t", "plant/press-7/a", check=False)
    assert "Bad User Name or Password" in wrong.stderr
    assert not is_open(address, walk.ports["1883"]), "there is a listener without TLS"
    assert address == "127.0.0.1" or not is_open(address, walk.ports["9883"]), "the API is open to the network"


def own_address():
    """An address of this machine that others could reach, if it has one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return one.getsockname()[0]


def is_open(address, port):
    """Whether somebody listens there."""
    with socket.socket() as one:
        one.settimeout(5)
        return one.connect_ex((address, int(port))) == 0
