"""What all checks share: the verdict line, the evidence file, the exit status, the usual arguments.

A check is a function `question(arguments, evidence)` that fills the dictionary `evidence` with what it
measured and returns a Verdict, or raises Failure. `conduct` turns that into

- one line on stdout, `ok        render   egl · llvmpipe · 480×480`, when nothing is wrong;
- on stderr what was expected, what was found and the command that fixes it, when something is;
- proof/<check>.json, written by rename, in every case;
- the exit status: 0 for ok, degraded and skip (STRICT=1: 1 for degraded), 1 for fail, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
PROOF = ROOT / "proof"
CHECKS = ("gpu", "mujoco", "render", "train")  # in the order of the chain

Evidence = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is wrong: its id, what was expected, what was found, and the command that fixes it."""

    cause: str
    expected: str
    found: str
    fix: str


@dataclass(frozen=True)
class Verdict:
    """How a check went; `facts` are the words of its line, `finding` is why it is degraded."""

    word: Literal["ok", "degraded", "skip"]
    facts: tuple[str, ...]
    finding: Finding | None = None


class Failure(Exception):
    """The check failed, for a cause that is known."""

    def __init__(self, cause: str, *, expected: str, found: str, fix: str):
        super().__init__(found)
        self.finding = Finding(cause, expected, found, fix)


def report(check: str, word: str, finding: Finding) -> None:
    """Print a finding to stderr."""
    level = "error" if word == "fail" else "warning"
    print(f"{level}: {check}: expected {finding.expected}", file=sys.stderr)
    print(f"found: {finding.found} [{finding.cause}]", file=sys.stderr)
    print(f"fix: {finding.fix}", file=sys.stderr)


@contextlib.contextmanager
def written_by_rename(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, rename it to `path`.

    What was at `path` stays there until then, and the temporary file never outlives the block.
    Raises Failure `output.unwritable` where the folder cannot be written to, or is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as reason:
        raise unwritable(path, reason) from reason
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
    except OSError as reason:
        if reason.filename not in (None, str(temporary)):
            raise  # another file's, met inside the block
        raise unwritable(path, reason) from reason
    finally:
        temporary.unlink(missing_ok=True)


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


def conduct(check: str, question: Callable[[argparse.Namespace, Evidence], Verdict], arguments) -> int:
    """Ask the question, say and record the answer, return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    evidence: Evidence = {}
    record: dict[str, Any] = {
        "schema": 1,
        "check": check,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {name: os.environ.get(name) for name in ("ENGINE", "EXPECT", "STRICT")},
    }
    started = time.perf_counter()
    facts: tuple[str, ...] = ()
    finding: Finding | None = None
    try:
        verdict = question(arguments, evidence)
        word, facts, finding = verdict.word, verdict.facts, verdict.finding
    except Failure as failure:
        word, finding = "fail", failure.finding
        if failure.__cause__:
            record["traceback"] = traceback.format_exc()
    except PermissionError as reason:
        word, finding = "fail", unwritable(Path(reason.filename or "proof"), reason).finding
    except KeyboardInterrupt:
        print(f"\n{check}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as surprise:
        word = "fail"
        record["traceback"] = traceback.format_exc()
        finding = Finding(
            f"{check}.unforeseen",
            expected="none but the causes this check knows",
            found=f"{type(surprise).__name__}: {surprise}",
            fix=f"read the traceback in proof/{check}.json; if the venv is at fault: rm -rf .venv && make venv",
        )
    record |= {
        "verdict": word,
        "facts": facts,
        "finding": asdict(finding) if finding else None,
        "seconds": round(time.perf_counter() - started, 2),
        "evidence": evidence,
    }
    if facts:
        print(f"{word:<10}{check:<9}{' · '.join(facts)}", flush=True)
    if finding:
        report(check, word, finding)
    try:
        with written_by_rename(PROOF / f"{check}.json") as path:
            path.write_text(json.dumps(record, indent=2, default=str) + "\n")
    except Failure as failure:
        report(check, "fail", failure.finding)
        return 1
    return int(word == "fail" or (word == "degraded" and os.environ.get("STRICT") == "1"))


def parser(check: str, documentation: str | None) -> argparse.ArgumentParser:
    """Return an argument parser whose help is the module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m checks.check_{check}",
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def output_file(suffix: str) -> Callable[[str], Path]:
    """Return the argument type of an output file whose name ends in `suffix`."""

    def convert(text: str) -> Path:
        path = Path(text).absolute()
        try:
            is_folder = not text or path.is_dir()
        except OSError as reason:
            raise argparse.ArgumentTypeError(f"{text[:40]}…: {reason.strerror}") from reason
        if is_folder:
            raise argparse.ArgumentTypeError(f"'{text}' is not a file; name one, such as out{suffix}")
        if path.suffix != suffix:
            raise argparse.ArgumentTypeError(f"{text} does not end in {suffix}")
        return path

    return convert


def positive(text: str) -> int:
    """Return the positive whole number that an argument holds."""
    with contextlib.suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
