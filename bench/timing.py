"""Run a command in the lab, and say how long it took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / "proof" / "bench"  # what a run leaves besides its record
IN_LAB = SCRATCH.relative_to(ROOT)  # in a container the repository is elsewhere
LAB = ["docker/dev.sh"]


class CommandFailed(Exception):
    """A command that is to be measured did not succeed; says which, and its last words."""


class Absent(Exception):
    """Something that a measurement needs is not here; says what, and why."""


def environment() -> dict[str, str]:
    """Return the environment of what is measured: without what a make above this process left in it."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def run(command: list[str], what: str) -> tuple[float, str]:
    """Run a command at the repository's root; return its wall time in seconds and its stdout.

    Shows on stderr what is under way. Raises CommandFailed with the last lines of stderr.
    """
    print(f"bench: {what} … ", end="", file=sys.stderr, flush=True)
    started = time.perf_counter()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # until there is a process to end
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group, to be ended as one
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, ends),
    )
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
        out, err = process.communicate()
    except BaseException:  # Ctrl-C, SIGTERM: what was started here does not go on
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        raise
    seconds = time.perf_counter() - started
    print("failed" if process.returncode else f"{seconds:.2f} s", file=sys.stderr, flush=True)
    if process.returncode:
        last = "\n".join((err.strip() or out.strip()).splitlines()[-4:])
        raise CommandFailed(f"{' '.join(command)} ended with status {process.returncode}:\n{last}")
    return seconds, out
