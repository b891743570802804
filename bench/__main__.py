"""The driver: asks the questions in turns, keeps the record, prints the table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bench
from bench import environments, idle, rebuild, render, train, verify
from bench.table import table
from bench.timing import LAB, ROOT, SCRATCH, CommandFailed, run

QUESTIONS = {"a": train, "b": environments, "c": rebuild, "d": idle, "e": render, "f": verify}
RECORD = ROOT / "proof" / "bench.json"


def machine() -> dict:
    """Return what the figures are of."""
    _, out = run([*LAB, "python", "-m", "bench.machine"], "the machine")
    return json.loads(out.splitlines()[-1])


def revision() -> str:
    """Return the commit that is measured, or `unknown` outside a git clone."""
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    said = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def read(path: Path) -> dict:
    """Return a record; ends with status 1 where the file is none."""
    try:
        record = json.loads(path.read_text())
        return {name: record[name] for name in ("schema", "machine", "questions")}
    except (OSError, ValueError, KeyError, TypeError) as reason:
        print(
            f"error: bench: {path} is no record of make bench: {reason!r}\nfix: rm -f '{path}' && make bench",
            file=sys.stderr,
        )
        raise SystemExit(1) from None


def earlier(here: dict) -> dict:
    """Return the record so far if it is of this machine and these versions, else an empty one."""
    if RECORD.exists():
        record = read(RECORD)
        if record["machine"] == here:
            return record
        kept = RECORD.with_name("bench-earlier.json")
        RECORD.replace(kept)
        print(f"bench: proof/bench.json is of another machine or lab, and is now {kept.name}", file=sys.stderr)
    return {"schema": 1, "machine": here, "questions": {}}


def save(record: dict) -> None:
    """Write the record by rename."""
    fresh = RECORD.with_name(f".bench-{os.getpid()}.json")
    try:
        fresh.write_text(json.dumps(record, indent=2) + "\n")
        fresh.replace(RECORD)
    finally:
        fresh.unlink(missing_ok=True)


def failed(reason: CommandFailed) -> int:
    """Say which command failed, and how; return the exit status."""
    print(f"error: bench: {reason}\nfix: make verify; then run that command by itself", file=sys.stderr)
    return 1


def measure(names: list[str], turns: int | None, add: bool) -> int:
    """Ask the questions; return 1 if one of them could not be answered."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    try:
        record = earlier(machine())
    except CommandFailed as reason:
        return failed(reason)
    measured: dict[tuple[str, int], dict] = {}
    status = 0
    for name in names:
        entry = {"date": time.strftime("%Y-%m-%d"), "revision": revision(), "turns": []}
        if add and name in record["questions"]:
            entry["turns"] = record["questions"][name]["turns"]
        for _ in range(turns or QUESTIONS[name].TURNS):
            number = len(entry["turns"])
            load = os.getloadavg()[0]  # of this minute: what else was going on
            try:
                measured[name, number] = {"load": load, **QUESTIONS[name].turn(number, measured)}
            except CommandFailed as reason:
                status = failed(reason)
                break
            entry["turns"].append(measured[name, number])
            record["questions"][name] = entry
            save(record)
    if record["questions"]:
        print(f"\n{table(record)}\nrecord: {RECORD.relative_to(ROOT)}")
    return status


def main() -> int:
    """Read the command line and run; return the exit status."""
    arguments = argparse.ArgumentParser(
        prog="python -m bench", description=bench.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), help="these questions")
    arguments.add_argument("--turns", type=int, help="of each question; by default 5 for a and d, else 3")
    arguments.add_argument("--add", action="store_true", help="add turns to those in the record, instead of replacing")
    arguments.add_argument("--table", type=Path, metavar="FILE", help="print the table of a record, measure nothing")
    chosen = arguments.parse_args()
    if chosen.turns is not None and chosen.turns < 1:
        arguments.error(f"--turns {chosen.turns} is not a positive whole number")
    if chosen.table:
        print(table(read(chosen.table)))
        return 0
    return measure(chosen.only, chosen.turns, chosen.add)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nbench: interrupted; the turns that were complete are in proof/bench.json", file=sys.stderr)
        sys.exit(130)
    except OSError as reason:  # proof/ cannot be written to, or its disk is full
        print(f"error: bench: {reason}\nfix: ls -ld proof; df -h .", file=sys.stderr)
        sys.exit(1)
