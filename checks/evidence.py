"""The evidence in PROOF: one run of the checks, and the record that each check leaves of it.

    run.json            the run, which check-gpu, the first check of every chain, starts: its id, and what it is of
    CHECK.json          what that check found in this run
    CHECK-trial.json    what it found with other settings than the protocol's: nothing about the protocol's files

A record counts only in its own run, and a run only where and with what it was made: on this machine, since it was
last started; in this clone; with this environment and these checks. Before a check starts, it puts an unfinished record
in the place of the last, and where it is killed that one stays. One check runs at a time: two would mix their evidence.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks import CHECKS
from checks.causes import Failure
from checks.output import ROOT, proof, shown, written_by_rename

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


@functools.cache
def made_of() -> dict[str, str | None]:
    """Return what a run is of: where, with what, and what was asked for."""
    stamp, code = Path(sys.prefix) / ".requirements_hash", hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.*")):
        code.update(path.read_bytes())
    return {
        "machine, or one that was started anew since": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "clone": f"{ROOT}, inode {ROOT.stat().st_ino}",
        "environment": stamp.read_text().partition("\n")[0] if stamp.exists() else None,
        "version of the checks": code.hexdigest(),
        **{name: os.environ.get(name) for name in ("ENGINE", "EXPECT", "CUDA_VISIBLE_DEVICES")},
    }


def current_run() -> str:
    """Return the id of the run. Raises ValueError where none was started, or one that is not of what is here."""
    run = known(proof() / "run.json")
    if not run or not isinstance(run.get("of"), dict):
        raise ValueError("no run was started; check-gpu starts one")
    if others := [name for name, value in made_of().items() if run["of"].get(name) != value]:
        raise ValueError(f"the run is of another {', another '.join(others)}")
    return str(run["id"])


def known(path: Path) -> dict[str, Any] | None:
    """Return what the lab wrote into a file of PROOF: run.json, or a record; None where it did not write it."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "schema" in content and {"id", "check"} & content.keys() else None


def process_of(pid: int) -> list[int] | None:
    """Return a process's id and when it was started (clock ticks since the machine was); None where it has ended."""
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else [pid, int(others[18])]


def see_to(path: Path) -> None:
    """Raise Failure where a file of PROOF must not be replaced: it is not the lab's, or its check still runs."""
    if not os.path.lexists(path):
        return
    record = known(path)
    if record is None:
        raise Failure(
            "output.not-the-labs",
            expected=f"a file of the lab's, or none, at {shown(path)}",
            found="one that the lab did not write",
            fix=f"PROOF={shown(proof())}/proof, or another folder of yours; or, if it is of no use: rm -r '{path}'",
        )
    process = record.get("process")
    if "verdict" not in record and process and process[0] != os.getpid() and process_of(process[0]) == process:
        raise Failure(
            "output.busy",
            expected=f"no other check at work on {shown(proof())}/",
            found=f"check {record['check']} runs there since {record['started']}, process {process[0]}",
            fix=f"kill {process[0]}; or wait until it has ended; or, beside it: PROOF=another/folder",
        )


def begin(check: str, trial: bool) -> dict[str, Any]:
    """Write and return the unfinished record of a check. The first starts a run, and removes the records of the last.

    Raises Failure where PROOF cannot be written to, holds files of others, or another check is at work there.
    """
    run, records = proof() / "run.json", [record_of(name, of_trial) for name in CHECKS.values() for of_trial in (0, 1)]
    for path in (run, *records):
        see_to(path)
    if check == FIRST:
        write(run, {"schema": 1, "id": uuid.uuid4().hex, "started": now(), "of": made_of()})
        for path in records:
            path.unlink(missing_ok=True)
    record = {"schema": 1, "check": check, "run": None, "started": now(), "process": process_of(os.getpid())}
    with contextlib.suppress(ValueError):
        record["run"] = current_run()
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
    if record.get("run") != current_run():
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
