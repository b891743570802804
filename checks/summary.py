"""The verdicts of this run in one table, with what to mend first on top.

    python -m checks.summary

Status 1 where a check has failed, has left no evidence of this run, or has proven a file that is another by now.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from checks import CHECKS
from checks import evidence as kept
from checks.output import PRODUCTS, ROOT, proof, shown


def read() -> list[dict[str, Any]]:
    """Return the records of this run, in the order of the chain: of a check that was only tried, that of its trial.

    Raises OSError or ValueError where one is not there, or is not what it should be.
    """
    records = []
    for check in CHECKS.values():
        trial = not kept.record_of(check).exists() and kept.record_of(check, trial=True).exists()
        try:
            records.append(kept.load(check, trial) | {"trial": trial})
        except (OSError, ValueError) as reason:
            raise ValueError(f"there is no evidence of check {check} in this run: {reason}") from reason
    return records


def proven(records: list[dict[str, Any]]) -> list[str]:
    """Return the files that the checks have proven. Raises OSError or ValueError where one is no longer what it was."""
    files = []
    for record in records:
        if record["check"] in PRODUCTS and record["verdict"] != "fail":
            out = str(record["evidence"].get("out"))
            if kept.digest(ROOT / out) != record["evidence"].get("sha256"):
                raise ValueError(f"{out} is not the file that check {record['check']} has proven: it was changed since")
            files.append(out)
    return files


def conclusion(records: list[dict[str, Any]], files: list[str]) -> str:
    """Return the last line: what all this amounts to."""
    evidence = ", ".join([*files, f"{shown(proof())}/"])
    if not any(record["trial"] for record in records):
        return f"verified: {evidence}"
    proves = all(record["evidence"].get("learning_proven", True) for record in records)
    why = "other settings than the protocol's" if proves else "short training: learning not proven"
    return f"works ({why}): {evidence}"


def main() -> int:
    """Print the table."""
    try:
        records = read()
        files = proven(records)
    except (OSError, ValueError) as reason:
        print(f"error: {reason}\nfix: make verify", file=sys.stderr)
        return 1
    findings = [record["finding"] for record in records if record["finding"]]
    if findings:
        print(f"\nto mend first: {findings[0]['found']} [{findings[0]['cause']}]\n  {findings[0]['fix']}")
    print(f"\n{'check':<9}{'verdict':<10}{'seconds':>7}  evidence")
    for record in records:
        facts = " · ".join(record["facts"]) or record["finding"]["found"]
        print(f"{record['check']:<9}{record['verdict']:<10}{record['seconds']:>7.1f}  {facts}")
    bad = ("fail", "degraded") if os.environ.get("STRICT") == "1" else ("fail",)
    failed = [record["check"] for record in records if record["verdict"] in bad]
    print(f"\nnot verified: {', '.join(failed)}" if failed else f"\n{conclusion(records, files)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
