"""Programs that are not the lab's, each run with a time limit: a driver that hangs must not hang who asks about it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path


def run(command: list[str | Path], seconds: float, **options) -> subprocess.CompletedProcess:
    """Run a command to its end; return its status, and what it said as text. `options` are those of subprocess.Popen.

    Raises OSError where it cannot start, and subprocess.TimeoutExpired after so many seconds. It has then been killed;
    a command that is stuck in the kernel cannot be, and is left behind.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **pipes | options)
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
