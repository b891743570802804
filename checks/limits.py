"""What limits the processes and threads that this process may start, and its memory: its shell, a cgroup."""

from __future__ import annotations

import contextlib
import resource
import threading

from checks import cores

ULIMITS = {"ulimit -u": (resource.RLIMIT_NPROC, 1), "ulimit -v": (resource.RLIMIT_AS, 1024)}


def set_here() -> list[str]:
    """Return the limits that are set, as `ulimit -v 1000000` and `8 in /sys/fs/cgroup/job/pids.max`."""
    found = []
    for name, (which, unit) in ULIMITS.items():
        if (soft := resource.getrlimit(which)[0]) != resource.RLIM_INFINITY:
            found.append(f"{name} {soft // unit}")
    for _, folder in cores.cgroups():
        with contextlib.suppress(OSError):  # no such file: another controller's folder
            if (most := (folder / "pids.max").read_text().strip()) != "max":
                found.append(f"{most} in {folder}/pids.max")
    return found


def thread_starts() -> bool:
    """Say whether this process may start another thread; a library whose thread is refused may not tell."""
    try:
        threading.Thread(target=bool, daemon=True).start()
    except RuntimeError:
        return False
    return True
