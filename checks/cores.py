"""How many cores may this process use? Fewer than the machine has, where its affinity or a cgroup says so."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def cgroups(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> Iterator[tuple[str, Path]]:
    """Yield the controllers and the folder of each cgroup that this process is in, and of those above.

    A container may be told its path on the host, of which it sees the root alone: some folders are not there.
    """
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)  # v2 has one line, which names no controllers
        own = mount / controllers / path[1:]
        yield from ((controllers, folder) for folder in (own, *own.parents))


def allowed(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """Return the number of cores: those of the affinity, or the smallest quota of the cgroups, rounded up.

    A quota is what docker --cpus and Slurm set: cpu.max in cgroup v2, cpu.cfs_quota_us in v1.
    """
    counts = [len(os.sched_getaffinity(0))]
    for controllers, folder in cgroups(membership, mount):
        with contextlib.suppress(OSError, ValueError):  # no such file; v2 says "max" where there is no quota
            if controllers:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            else:
                quota, period = (folder / "cpu.max").read_text().split()
            if int(quota) > 0:  # v1 says -1 where there is none
                counts.append(math.ceil(int(quota) / int(period)))
    return min(counts)
