"""No wait of a training is without end: while it is watched, five minutes without a sign of life end it.

The alarm interrupts whatever this process waits for (a process that steps, a lock, the fork server), and needs no
thread. From one sign to the next it is seconds on a slow machine; what takes longer will not come.
"""

from __future__ import annotations

import atexit
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checks.causes import Failure

TICK = 60  # seconds; a training that was suspended for an hour (Ctrl-Z, a scheduler) has missed one
TICKS = 5
EXIT = 60  # seconds that the process may then take to end

_missed = 0
_doing = ""


def alive(doing: str) -> None:
    """Give a sign of life: `doing` is what comes now."""
    global _missed, _doing
    _missed, _doing = 0, doing


@contextmanager
def watched() -> Iterator[None]:
    """Raise Failure `train.hangs` in the block after TICKS ticks without a sign of life."""

    def tick(*_) -> None:
        global _missed
        _missed += 1
        if _missed > TICKS:
            stopped = f"; stopped: {', '.join(those)}" if (those := stopped_processes()) else ""
            raise Failure(
                "train.hangs",
                expected="a sign of life from the training every few seconds",
                found=f"none for {TICKS * TICK:g} s, of: {_doing}{stopped}",
            )

    alive("the start")
    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    atexit.register(limit_exit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_exit() -> None:
    """Have the kernel end this process where its exit hangs; registered last, this runs before what may hang."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(EXIT)


def below(pid: int | str = "self") -> list[int]:
    """Return the ids of the processes that a process has started, and of theirs."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for file in children for child in read(file).split()]
    return found + [other for child in found for other in below(child)]


def read(file: Path) -> str:
    """Return what a file of /proc says; nothing where its process has ended."""
    try:
        return file.read_text()
    except OSError:
        return ""


def stopped_processes() -> list[str]:
    """Return the ids of those processes of the training's that were stopped (SIGSTOP, a debugger, a freezer)."""
    return [str(pid) for pid in below() if read(Path(f"/proc/{pid}/stat")).rpartition(") ")[2][:1] in ("T", "t")]
