"""Back up, restore and upgrade, by exactly the commands of the README; the service manager and the package manager are played."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from broker import BINARY, ROOT


def commands(heading: str) -> list[str]:
    """The commands behind a bold word in the README's section."""
    section = (ROOT / "README.md").read_text().split("### Restore and upgrade\n")[1].split("\n## ")[0]
    found = re.search(rf"^\*\*{heading}\*\*.*?^```sh.*?\n(.*?)^```", section, re.M | re.S)
    assert found, f"the README has no commands for {heading}"
    return found[1].splitlines()


class Service:
    """A broker as a service of a machine whose folders are in another one."""

    def __init__(self, folder: Path, brokers):
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        (self.bin / "rewindmq").symlink_to(BINARY)
        self.config = folder / "etc/rewindmq/rewindmq.toml"
        self.config.parent.mkdir(parents=True)
        self.data = folder / "var/lib/rewindmq"
        self.data.parent.mkdir(parents=True)
        self.config.write_text(f'[store]\npath = "{self.data}"\nrules = [{{ filters = ["s/#"] }}]\n')
        self.broker = brokers(start=False, data=self.data, args=["--config", self.config])

    def carry_out(self, heading: str) -> None:
        """The commands of the README, in their order."""
        for line in commands(heading):
            if line == "systemctl stop rewindmq":
                self.broker.stop()
            elif line == "systemctl start rewindmq":
                self.broker.start()
            elif line.startswith("apt install "):
                # The package's scripts start the service again.
                self.broker.restart()
            else:
                self.shell(line)

    def shell(self, line: str) -> None:
        """A command that must succeed, on the folders of this machine."""
        here = re.sub(r"/(?=(var/lib|etc/rewindmq|backups)\b)", f"{self.folder}/", line)
        here = here.replace("rewindmq: ", f"{os.getuid()}:{os.getgid()} ")
        env = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "REWINDMQ__HTTP__ADDRESS": f"127.0.0.1:{self.broker.http_port}",
        }
        done = subprocess.run(["bash", "-ec", here], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.fixture
def service(tmp_path, brokers):
    """A service that runs."""
    one = Service(tmp_path, brokers)
    one.broker.start()
    return one


def stored(client, count):
    """What the store has below s/."""
    client.replay("first", "s/#")
    return [(got.topic, got.seq, got.payload.decode()) for got in client.messages(count)]


def test_the_described_backup_is_restored_by_the_described_steps(service, connect, durable, back):
    writer = connect(service.broker)
    writer.publish_all([("s/a", number) for number in range(1, 6)])
    writer.publish("r", "kept", retain=True)
    away = durable(service.broker, "away")
    away.granted("p", qos=1)
    away.disconnect()
    writer.publish("p", "waits")
    service.carry_out("Back up")
    writer.publish_all([("s/a", number) for number in range(6, 9)])
    writer.publish("r", "", retain=True)
    writer.publish("p", "too late")

    service.carry_out("Restore")
    assert service.data.with_suffix(".before").is_dir()
    writer = connect(service.broker)
    writer.publish("s/a", "next")
    found = stored(connect(service.broker), 6)
    assert found == [("s/a", number, str(number)) for number in range(1, 6)] + [("s/a", 6, "next")]
    reader = connect(service.broker)
    reader.granted("r")
    assert reader.message().payload == b"kept"
    again = back(service.broker, "away")
    assert again.message().payload == b"waits"
    writer.publish("p", "new")
    assert again.message().payload == b"new"


def test_the_described_upgrade_keeps_everything_and_leaves_a_way_back(service, connect, brokers, tmp_path):
    connect(service.broker).publish_all([("s/a", number) for number in range(1, 6)])
    everything = [("s/a", number, str(number)) for number in range(1, 6)]
    service.carry_out("Upgrade")
    assert stored(connect(service.broker), 5) == everything
    before = brokers(data=tmp_path / "backups/before-upgrade", args=["--config", service.config])
    assert stored(connect(before), 5) == everything
