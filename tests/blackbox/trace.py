"""Watches which calls a process makes to force bytes to disk, with strace. Knows no MQTT."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

CALLS = "write,fsync,fdatasync,msync,sync_file_range,openat,pwrite64"


class Trace:
    """A file that strace fills line by line; a line is there before the process goes on."""

    def __init__(self, path: Path, *inject: str):
        assert shutil.which("strace"), "strace is missing: scripts/test installs it"
        self.path = path
        faults = [part for fault in inject for part in ("-e", f"inject={fault}")]
        # -D: the traced program keeps the process identifier that its parent knows.
        self.around = ["strace", "-D", "-f", "-qq", "-o", str(path), "-e", f"trace={CALLS}", *faults]

    def lines(self) -> list[str]:
        """What was traced so far."""
        return self.path.read_text(errors="replace").splitlines() if self.path.exists() else []

    def syncs(self) -> int:
        """How often the store's file was forced to disk."""
        return sum(re.search(r"\bfdatasync\(", line) is not None for line in self.lines())

    @staticmethod
    def end(pid: int) -> None:
        """Nothing of a process is traced, delayed or made to fail any more."""
        tracer = re.search(r"^TracerPid:\s*(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
        os.kill(int(tracer[1]), signal.SIGKILL)

    def synced_writes(self) -> int:
        """How often something was written through a descriptor that writes through to the disk."""
        lines = self.lines()
        opened = [re.search(r'openat\(.*"[^"]*data\.mdb".*O_DSYNC.* = (\d+)', line) for line in lines]
        through = {found[1] for found in opened if found}
        assert through, "the store's file was never opened with O_DSYNC: has LMDB changed?"
        written = [re.search(r"pwrite64\((\d+),", line) for line in lines]
        return sum(found is not None and found[1] in through for found in written)
