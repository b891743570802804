"""What all checks share: the verdict line, the evidence file, the exit status.

A check is a function `question(arguments, evidence)` that fills the dictionary `evidence` with what it
measured and returns a Verdict, or raises Failure. `conduct` turns that into

- one line on stdout, `ok        render   egl · llvmpipe · 480×480`, when nothing is wrong;
- on stderr what was expected, what was found and the command that fixes it, when something is;
- its record in PROOF (checks/evidence.py), which stays unfinished where it was interrupted;
- the exit status: 0 for ok, degraded and skip (STRICT=1: 1 for degraded), 1 for fail, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from checks import evidence as kept
from checks.causes import Failure, Finding
from checks.output import shown, unwritable

Evidence = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """How a check went; `facts` are the words of its line, `finding` is why it is degraded."""

    word: Literal["ok", "degraded", "skip"]
    facts: tuple[str, ...]
    finding: Finding | None = None


def report(check: str, word: str, finding: Finding) -> None:
    """Print a finding to stderr."""
    level = "error" if word == "fail" else "warning"
    print(f"{level}: {check}: expected {finding.expected}", file=sys.stderr)
    print(f"found: {finding.found} [{finding.cause}]", file=sys.stderr)
    print(f"fix: {finding.fix}", file=sys.stderr)


def say(line: str) -> None:
    """Print to stdout, whatever letters it knows, and whether or not someone still reads it."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python flushes again as it ends


def conduct(
    check: str, question: Callable[[argparse.Namespace, Evidence], Verdict], arguments, trial: bool = False
) -> int:
    """Ask the question, say and record the answer, return the exit status.

    A trial has other settings than the protocol's, and a record of its own.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    evidence: Evidence = {}
    path = kept.record_of(check, trial)
    try:
        record = kept.begin(check, trial)
    except Failure as failure:
        report(check, "fail", failure.finding)
        return 1
    record["settings"] = {name: os.environ.get(name) for name in ("ENGINE", "EXPECT", "STRICT")}
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
        word, finding = "fail", unwritable(Path(reason.filename or path), reason).finding
    except KeyboardInterrupt:
        print(f"\n{check}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as surprise:
        word = "fail"
        record["traceback"] = traceback.format_exc()
        finding = Finding(
            f"{check}.unforeseen",
            expected="the check to finish",
            found=f"{type(surprise).__name__}: {surprise}",
            fix=f"read the traceback in {shown(path)}; if the venv is at fault: rm -rf .venv && make venv",
        )
    record |= {
        "verdict": word,
        "facts": facts,
        "finding": asdict(finding) if finding else None,
        "seconds": round(time.perf_counter() - started, 2),
        "evidence": evidence,
    }
    unwritten = None
    try:
        kept.write(path, record)  # first: who reads what is printed may be gone
    except Failure as failure:
        unwritten = failure.finding
    if facts:
        say(f"{word:<10}{check:<9}{' · '.join(facts)}")
    if finding:
        report(check, word, finding)
    if unwritten:
        report(check, "fail", unwritten)
        return 1
    return int(word == "fail" or (word == "degraded" and os.environ.get("STRICT") == "1"))
