"""The evidence in PROOF: one run of the checks, and the record that each check leaves of it.

    run.json            the run: its id, and when check-gpu, the first check of every chain, started it
    CHECK.json          what that check found in this run
    CHECK-trial.json    what it found with other settings than the protocol's: nothing about the protocol's files

A record counts only in its own run. Before a check starts, it puts an unfinished record in the place of the last, and
where it is killed that one stays.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks import CHECKS
from checks.output import proof, written_by_rename

WORDS = ("ok", "degraded", "skip", "fail")
FIRST = next(iter(CHECKS.values()))


def now() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_of(check: str, trial: bool = False) -> Path:
    """Return where the record of a check is, or of its trial."""
    return proof() / f"{check}{'-trial' if trial else ''}.json"


def current_run() -> str | None:
    """Return the id of the run; None where none was started."""
    try:
        return str(json.loads((proof() / "run.json").read_text())["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def begin(check: str, trial: bool) -> dict[str, Any]:
    """Write and return the unfinished record of a check. The first starts a run, and removes the records of the last.

    Raises Failure where PROOF cannot be written to.
    """
    if check == FIRST:
        write(proof() / "run.json", {"schema": 1, "id": uuid.uuid4().hex, "started": now()})
        for name in CHECKS.values():
            record_of(name).unlink(missing_ok=True)
            record_of(name, trial=True).unlink(missing_ok=True)
    record = {"schema": 1, "check": check, "run": current_run(), "started": now()}
    write(record_of(check, trial), record)
    return record


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, by rename. Raises Failure where that cannot be."""
    with written_by_rename(path) as file:
        file.write_text(json.dumps(content, indent=2, default=str) + "\n")


def load(check: str, trial: bool = False) -> dict[str, Any]:
    """Return the record of a check in this run.

    Raises OSError where there is none, and ValueError where it is unfinished, of another run, or no record.
    """
    path = record_of(check, trial)
    record = json.loads(path.read_text())
    if not isinstance(record, dict) or record.get("check") != check:
        raise ValueError(f"{path.name} is not a record of check {check}")
    if record.get("run") is None or record["run"] != current_run():
        raise ValueError(f"{path.name} is of another run")
    if "verdict" not in record:
        raise ValueError(f"it began at {record.get('started')} and has not ended")
    finding = record.get("finding")
    if not (
        record.get("verdict") in WORDS
        and isinstance(record.get("facts"), list)
        and isinstance(record.get("seconds"), int | float)
        and math.isfinite(record["seconds"])
        and isinstance(record.get("evidence"), dict)
        and (finding is None or (isinstance(finding, dict) and {"cause", "found", "fix"} <= finding.keys()))
        and (record["facts"] or finding)
    ):
        raise ValueError(f"{path.name} is not a record of check {check}")
    return record
