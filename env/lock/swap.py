"""Install several files together: all of them, or none, even if the run that does it is killed.

    python -I env/lock/swap.py     finish a swap that was cut off; env/venv.sh runs this where one was

The files are written beside the tree first, in .lock.new/, and renamed as one to .lock.ready/: from then on they
count, and whoever comes next moves what is left of them to its place. Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NEW = ROOT / ".lock.new"
READY = ROOT / ".lock.ready"


@contextmanager
def alone() -> Iterator[int]:
    """Hold the lock of those who write here; yields its descriptor, for children to hold it too.

    Exits where the file system has no locks.
    """
    with Path(__file__).open("r+") as handle:  # this file itself: one that is made would be left behind
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("lock: another make lock is running; waiting for it", file=sys.stderr, flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as reason:  # as take_lock in env/prelude.sh says it
            why = f"{handle.name} cannot be locked: {reason.strerror}"
            sys.exit(f"error: {why}\nfix: cp -a '{ROOT}' /a/local/disk, and work there")
        yield handle.fileno()


def swap(texts: dict[str, str]) -> None:
    """Write files, by name and text, in place of those of the tree. The caller is alone()."""
    for name, text in texts.items():
        path = NEW / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if (ROOT / name).exists():
            shutil.copymode(ROOT / name, path)
    (NEW / "files").rename(READY)
    finish()


def finish() -> None:
    """Move what is left of a swap to its place. The caller is alone()."""
    for path in sorted(READY.rglob("*")):
        if path.is_file():
            path.replace(ROOT / path.relative_to(READY))
    shutil.rmtree(READY, ignore_errors=True)


if __name__ == "__main__":
    with alone():
        finish()
