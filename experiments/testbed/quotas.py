"""CPU quotas: how hosts that share cores each get a known part of one, by the bandwidth control of Linux control groups.

In every period of 5 ms a group may run for its share of it, whatever the others do, as long as the shares sum up to less than the cores.
Both versions of control groups are served: version 1 where its `cpu` controller is mounted, else version 2, in whose threaded groups a
single thread can be limited. (Version 1 is what the committed measurements were made with; version 2 is tested on an imitation only.)

How wrong: a work that is short against the period runs at full speed within what is left of the quota, then waits for the next one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PERIOD_S", "Quotas", "quotas"]

PERIOD_S = 5e-3
"""Seconds of a quota's period."""
MOUNTS = Path("/proc/self/mounts")
"""Where mounted control groups are listed."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Groups of one testbed, below `root`.

    Attributes:
        root: the directory that holds them.
        version: of the control groups.
    """

    root: Path
    version: int

    def limit(self, name: str, thread: int, share: float | None) -> None:
        """Let a thread have that share of a core (`None`: all it can get), alone in a group of that name."""
        group = self.root / name
        group.mkdir(exist_ok=True)
        period = round(PERIOD_S * 1e6)
        quota = None if share is None else round(share * period)
        if self.version == 1:
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(-1 if quota is None else quota))
            (group / "tasks").write_text(str(thread))
        else:
            (group / "cgroup.type").write_text("threaded")
            (group / "cpu.max").write_text(f"{'max' if quota is None else quota} {period}")
            (group / "cgroup.threads").write_text(str(thread))

    def admit(self, process: int) -> None:
        """Version 2 limits threads only of processes below the root group: put one there."""
        if self.version == 2:
            (self.root / "cgroup.procs").write_text(str(process))


@contextmanager
def quotas(mounts: Path = MOUNTS) -> Iterator[Quotas]:
    """Groups that are removed at the end, with whatever an earlier testbed left when it was killed.

    Raises `OSError` where no control group can be made.
    """
    top, version = _mounted(mounts)
    for left in top.glob("edgewright-*"):
        if not _alive(left.name):
            _remove(left)
    root = top / f"edgewright-{os.getpid()}"
    root.mkdir()
    try:
        if version == 2:
            (top / "cgroup.subtree_control").write_text("+cpu")
            (root / "cgroup.subtree_control").write_text("+cpu")
        yield Quotas(root, version)
    finally:
        _remove(root)


def _mounted(mounts: Path) -> tuple[Path, int]:
    lines = [line.split() for line in mounts.read_text().splitlines()] if mounts.exists() else []
    for _, place, kind, options, *_ in lines:
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(place), 1
    for _, place, kind, *_ in lines:
        if kind == "cgroup2" and "cpu" in (Path(place) / "cgroup.controllers").read_text().split():
            return Path(place), 2
    raise OSError("no control group with the cpu controller is mounted")


def _alive(name: str) -> bool:
    return Path("/proc", name.rpartition("-")[2]).exists()


def _remove(root: Path) -> None:
    """A group goes when nothing runs in it; what is busy stays for the next testbed to remove."""
    for each in (*root.glob("*/"), root):
        with contextlib.suppress(OSError):
            each.rmdir()
