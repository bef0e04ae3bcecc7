"""What the broker leaves to others on the machine: files, folders, and the rights of its service."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from broker import BINARY, ROOT

SERVICE = ROOT / "conf" / "rewindmq.service"


def mode(path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def open_umask():
    """A umask that takes nothing away: the broker inherits it."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_data_folder_is_private_whatever_the_umask(open_umask, brokers, connect):
    broker = brokers(store=["s/#"])
    connect(broker).publish("s/1", "m")
    assert mode(broker.data) == 0o700
    files = [path for path in broker.data.rglob("*") if path.is_file()]
    assert files
    assert {str(path): oct(mode(path)) for path in files if mode(path) & 0o077} == {}


def test_a_data_folder_that_others_can_enter_is_told(brokers, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    broker = brokers(data=data)
    broker.wait_log(rf"WARN.*chmod 700 {re.escape(str(data))} .*755")


@pytest.mark.parametrize(("permissions", "told"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_users_file_that_others_can_read_is_told(brokers, tmp_path, permissions, told):
    users = tmp_path / "users"
    users.write_text("")
    users.chmod(permissions)
    broker = brokers(config={"auth": {"users_file": str(users)}})
    assert any("WARN" in line and f"chmod 600 {users}" in line for line in broker.log) == told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its rights up")
def test_it_runs_without_root_and_says_so_otherwise(brokers, tmp_path):
    broker = brokers()
    broker.wait_log("WARN.*runs as root")
    folder = Path("/tmp") / f"rewindmq-nobody-{os.getpid()}"
    folder.mkdir()
    shutil.copy(BINARY, folder / "rewindmq")
    shutil.chown(folder, "nobody")
    try:
        other = brokers(
            start=False, data=folder / "data", around=["setpriv", "--reuid=nobody", "--clear-groups"]
        )
        other.command = lambda line=other.command(): [
            str(folder / "rewindmq") if part == str(BINARY) else part for part in line
        ]
        other.start()
        assert not any("runs as root" in line for line in other.log)
        other.stop()
    finally:
        shutil.rmtree(folder)


def options() -> dict[str, list[str]]:
    """The options of the service by name."""
    found: dict[str, list[str]] = {}
    for line in SERVICE.read_text().splitlines():
        if line and line[0] not in "#[":
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def test_the_service_has_no_rights_that_it_does_not_need():
    has = options()
    for name, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "CapabilityBoundingSet": "",
        "MemoryDenyWriteExecute": "yes",
        "StateDirectoryMode": "0700",
        "Restart": "on-failure",
        "Type": "notify",
        "NotifyAccess": "main",
        "ExecReload": "/bin/kill -HUP $MAINPID",
    }.items():
        assert has[name] == [value], name


def test_systemd_understands_the_service_and_finds_it_hardened(tmp_path):
    # Only the place of the program differs: it is not installed here.
    unit = tmp_path / SERVICE.name
    unit.write_text(SERVICE.read_text().replace("/usr/local/bin/rewindmq", str(BINARY)))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert "rewindmq.service" not in done.stderr, done.stderr
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
