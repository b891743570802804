"""How many cores may this process use? Fewer than the machine has, where its affinity or a cgroup says so."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path


def allowed(membership: Path = Path("/proc/self/cgroup"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of cores: those of the affinity, or the smallest quota of the cgroups, rounded up.

    A quota is what docker --cpus and Slurm set: cpu.max in cgroup v2, cpu.cfs_quota_us in v1. A container may be told
    its path on the host, of which it sees the root alone; so folders that are not there do not count.
    """
    counts = [len(os.sched_getaffinity(0))]
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)  # v2 has one line, which names no controllers
        own = cgroups / controllers / path[1:]
        for folder in (own, *own.parents):
            with contextlib.suppress(OSError, ValueError):  # no such file; v2 says "max" where there is no quota
                if controllers:
                    quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
                else:
                    quota, period = (folder / "cpu.max").read_text().split()
                if int(quota) > 0:  # v1 says -1 where there is none
                    counts.append(math.ceil(int(quota) / int(period)))
    return min(counts)
