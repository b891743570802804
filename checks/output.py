"""The files that checks write: whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.causes import Failure

ROOT = Path(__file__).resolve().parent.parent

PRODUCTS = {"render": "smoke_frame.png", "train": "ppo_smoke.zip"}  # what these checks make

CAUSES = """
output.unwritable the folder of `--out`, or `PROOF`, is not writable, or its disk is full
    ls -ld … && df -h …: it must be yours, and have space
output.not-the-labs `PROOF` has a file of the name of a record, which the lab did not write
    PROOF=another/folder
output.busy another check is at work on the same evidence, perhaps one whose `make` was killed
    kill …; or wait until it has ended
"""


def proof() -> Path:
    """Return the folder of the evidence: PROOF, relative to the repository, or its proof/."""
    return Path(os.path.normpath(ROOT / (os.environ.get("PROOF") or "proof")))


def product(check: str) -> Path:
    """Return where the file belongs that a check makes: in PROOF where that is set, else in the repository."""
    return (proof() if os.environ.get("PROOF") else ROOT) / PRODUCTS[check]


def shown(path: Path) -> str:
    """Return a path as the evidence and messages have it: relative to the repository where it is in there."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


@contextlib.contextmanager
def written_by_rename(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, rename it to `path`.

    What was at `path` stays there until then. The temporary file outlives the block only where the last step fails:
    then it holds what was made. Raises Failure `output.unwritable` where the folder cannot be written to, or is full,
    or where `path` cannot be replaced.
    """
    try:
        see_that_it_can_be_replaced(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as reason:
        raise unwritable(path, reason) from reason
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask())
    except OSError as reason:
        temporary.unlink(missing_ok=True)
        if reason.filename not in (None, str(temporary)):
            raise  # another file's, met inside the block
        raise unwritable(path, reason) from reason
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        temporary.replace(path)
    except OSError as reason:
        raise unwritable(path, OSError(reason.errno, f"{reason.strerror}; what was made is {temporary}")) from reason


def see_that_it_can_be_replaced(path: Path) -> None:
    """Raise OSError where it must not, or cannot: read-only, no file, a mount, another's in a sticky folder."""
    if not path.exists():
        return
    if not stat.S_ISREG(path.stat().st_mode) or path.is_mount():
        raise OSError(errno.EINVAL, "what is there is no plain file")
    if not path.stat().st_mode & 0o222:
        raise OSError(errno.EACCES, "the file there is read-only")
    os.close(os.open(path, os.O_WRONLY))  # refused for an immutable one, too
    folder, owners = path.parent.stat(), {path.lstat().st_uid, path.parent.stat().st_uid}
    if folder.st_mode & stat.S_ISVTX and os.geteuid() and os.geteuid() not in owners:
        raise OSError(errno.EPERM, f"the file there is not yours, and in {path.parent} only owners replace files")


def unwritable(path: Path, reason: OSError) -> Failure:
    """Return the Failure of an output file that cannot be written."""
    return Failure(
        "output.unwritable",
        expected=f"to write {path}",
        found=f"{reason.strerror or reason}",
        fix=f"ls -ld '{path.parent}' && df -h '{path.parent}': it must be yours, and have space",
    )


def umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
