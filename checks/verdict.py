"""What all checks share: the verdict line, the evidence file, the exit status.

A check is a function `question(arguments, evidence)` that fills the dictionary `evidence` with what it
measured and returns a Verdict, or raises Failure. `conduct` turns that into

- one line on stdout, `ok        render   egl · llvmpipe · 480×480`, when nothing is wrong;
- on stderr what was expected, what was found and the command that fixes it, when something is;
- proof/<check>.json, written by rename, in every case;
- the exit status: 0 for ok, degraded and skip (STRICT=1: 1 for degraded), 1 for fail, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from checks.causes import Failure, Finding
from checks.output import PROOF, unwritable, written_by_rename

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
            expected="the check to finish",
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
