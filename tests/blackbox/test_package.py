"""The Debian package as Cargo.toml describes it, put together from the tested binary and taken through dpkg; the container image's files.

`scripts/package deb` makes the real one with cargo-deb from a release build, and adds to the maintainer scripts what starts
and stops the service (#DEBHELPER#). Here that is left out: there is no service manager to talk to.
"""

import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from broker import BINARY, ROOT, Broker, run

DEB = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["metadata"]["deb"]
SCRIPTS = ROOT / DEB["maintainer-scripts"]
IMAGE = ROOT / "conf" / "docker"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """What `scripts/package` makes before a package is put together."""
    folder = tmp_path_factory.mktemp("stage")
    line = [ROOT / "scripts" / "package", "stage", BINARY, folder]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def place(source: str, stage: Path) -> list[Path]:
    """The files that an asset names."""
    if source == "target/release/rewindmq":
        return [BINARY]
    folder, source = (stage, source.removeprefix("target/package/")) if "target/package/" in source else (ROOT, source)
    return sorted(folder.glob(source))


class Package:
    """The files of a package, and what it becomes."""

    def __init__(self, root: Path, stage: Path, version: str):
        self.root, self.version = root, version
        for source, into, mode in DEB["assets"]:
            found = place(source, stage)
            assert found, f"Cargo.toml names {source}, which is not there"
            for path in found:
                target = root / into / (path.name if into.endswith("/") else "")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
                target.chmod(int(mode, 8))
        unit = f"{DEB['systemd-units']['unit-name']}.service"
        (root / "usr/lib/systemd/system").mkdir(parents=True)
        shutil.copy(stage / unit, root / "usr/lib/systemd/system" / unit)
        control = root / "DEBIAN"
        control.mkdir()
        (control / "conffiles").write_text("".join(f"{name}\n" for name in DEB["conf-files"]))
        for script in SCRIPTS.iterdir():
            text = script.read_text()
            assert text.count("#DEBHELPER#") == 1, script
            (control / script.name).write_text(text.replace("#DEBHELPER#", ""))
            (control / script.name).chmod(0o755)

    def build(self) -> Path:
        """The package file."""
        (self.root / "DEBIAN/control").write_text(
            f"Package: {DEB['name']}\nVersion: {self.version}\nArchitecture: all\n"
            f"Maintainer: {DEB['maintainer']}\nDescription: {DEB['name']}\n"
        )
        file = self.root.parent / f"{self.version}.deb"
        subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", self.root, file], check=True, timeout=60)
        return file


class Machine:
    """A folder that dpkg takes for the root of a machine, with an `adduser` that only notes what it is asked."""

    def __init__(self, folder: Path):
        self.root, self.bin, self.users = folder / "root", folder / "bin", folder / "users"
        for name in ("info", "updates", "triggers"):
            (self.root / "var/lib/dpkg" / name).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        self.bin.mkdir()
        (self.bin / "adduser").write_text(f'#!/bin/sh\necho "$*" >>{self.users}\n')
        (self.bin / "adduser").chmod(0o755)

    def dpkg(self, *arguments) -> None:
        """A dpkg that runs the maintainer scripts outside of the root (DPKG_ROOT)."""
        line = ["dpkg", f"--root={self.root}", "--force-script-chrootless", "--force-confold", *map(str, arguments)]
        env = {**os.environ, "PATH": f"{self.bin}:/usr/local/sbin:/usr/sbin:/sbin:{os.environ['PATH']}"}
        done = subprocess.run(line, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def path(self, name: str) -> Path:
        """A path of the machine."""
        return self.root / name.lstrip("/")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a package")
def test_a_package_is_installed_upgraded_removed_and_purged(stage, brokers, connect, tmp_path):
    first = Package(tmp_path / "first", stage, "1")
    second = Package(tmp_path / "second", stage, "2")
    shipped = second.root / "etc/rewindmq/rewindmq.toml"
    shipped.write_text(shipped.read_text() + "# new\n")
    machine = Machine(tmp_path)

    machine.dpkg("--install", first.build())
    assert "--system --group" in machine.users.read_text()
    config, data = machine.path("/etc/rewindmq/rewindmq.toml"), machine.path("/var/lib/rewindmq")
    program = machine.path("/usr/bin/rewindmq")
    broker = brokers(start=False, data=data, args=["--config", config, "--store", "s/#"])
    command = [str(program), *map(str, broker.command()[1:])]
    broker.command = lambda: command
    connect(broker.start()).publish("s/a", "kept")
    broker.stop()

    config.write_text(config.read_text() + "# mine\n")
    machine.dpkg("--install", second.build())
    assert config.read_text().endswith("# mine\n")
    assert config.with_suffix(".toml.dpkg-dist").read_text().endswith("# new\n")
    reader = connect(broker.start())
    reader.replay("first", "s/a")
    assert reader.message().payload == b"kept"
    broker.stop()

    (config.parent / "users").write_text("")
    machine.dpkg("--remove", DEB["name"])
    assert not program.exists()
    assert config.read_text().endswith("# mine\n") and (data / "data.mdb").exists()

    machine.dpkg("--purge", DEB["name"])
    assert not data.exists()
    # What the package did not bring it does not take away.
    assert [path.name for path in config.parent.iterdir()] == ["users"]


def test_the_package_brings_a_unit_for_its_own_paths(stage):
    unit = (stage / "rewindmq.service").read_text()
    assert unit.startswith("[Unit]\n")
    started = re.search(r"^ExecStart=(\S+) --config (\S+)$", unit, re.M)
    targets = {f"/{into}{Path(source).name}" for source, into, _ in DEB["assets"]}
    assert set(started.groups()) <= targets
    assert started[2] in DEB["conf-files"]
    done = run("check", "--config", stage / "rewindmq.toml")
    assert "store  /var/lib/rewindmq," in done.stdout
    assert re.search(r"^StateDirectory=rewindmq$", unit, re.M)


def test_every_licence_that_is_named_is_there(stage):
    named = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["license"]
    texts = {"MIT": "LICENSE-MIT", "Apache-2.0": "LICENSE-APACHE"}
    assert set(named.split(" OR ")) == set(texts)
    for file in ("LICENSE", *texts.values()):
        assert (ROOT / file).stat().st_size > 300, file
    (told,) = place(DEB["license-file"][0], stage)
    assert (ROOT / "LICENSE-MIT").read_text() in told.read_text()


@pytest.mark.parametrize("script", [*sorted(SCRIPTS.iterdir()), ROOT / "scripts" / "package"], ids=lambda path: path.name)
def test_scripts_are_well_formed(script):
    assert stat.S_IMODE(script.stat().st_mode) & 0o111 or script.parent == SCRIPTS
    shell = script.read_text().splitlines()[0].rsplit("/", 1)[1].split()[-1]
    subprocess.run([shell, "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--external-sources", script], check=True, cwd=ROOT)


def test_what_the_image_copies_is_there_and_not_ignored():
    wanted = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (IMAGE / "Dockerfile").read_text(), re.M)
        for source in line.split()
    ]
    kept = [line[1:] for line in (IMAGE / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(wanted) == sorted(kept)
    assert [source for source in wanted if not (ROOT / source).exists()] == []


def test_the_image_starts_only_when_it_is_said_who_may_come_in():
    config = {"REWINDMQ_CONFIG": str(IMAGE / "rewindmq.toml")}
    done = run("check", env=config)
    assert done.returncode == 1 and "--anonymous" in done.stderr
    done = run("check", "--anonymous", env=config)
    assert done.returncode == 0, done.stderr
    exposed = re.search(r"^EXPOSE (.*)$", (IMAGE / "Dockerfile").read_text(), re.M)[1].split()
    shown = re.findall(r"^  (?:mqtt|http) +0\.0\.0\.0:(\d+)", done.stdout, re.M)
    assert shown == exposed
    volume = re.search(r"^VOLUME (\S+)$", (IMAGE / "Dockerfile").read_text(), re.M)[1]
    assert f"store  {volume}," in done.stdout


def test_the_image_is_healthy_by_its_own_configuration(brokers):
    broker = brokers()
    environment = {"REWINDMQ_CONFIG": str(IMAGE / "rewindmq.toml"), "REWINDMQ__HTTP__ADDRESS": f":{broker.http_port}"}
    assert run("health", env=environment).stdout == "ready\n"
    line = re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", (IMAGE / "Dockerfile").read_text(), re.M)[1]
    assert line == '["/usr/bin/rewindmq", "health"]'
