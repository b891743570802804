"""The verdicts of the last `make verify` in one table, with what to mend first on top.

    python -m checks.summary

Status 1 where a check has failed, or has left no evidence.
"""

from __future__ import annotations

import json
import sys

from checks import CHECKS
from checks.output import PROOF


def main() -> int:
    """Print the table."""
    records = []
    for check in CHECKS.values():
        try:
            records.append(json.loads((PROOF / f"{check}.json").read_text()))
        except (OSError, ValueError) as reason:
            print(f"error: there is no evidence of check {check}: {reason}\nfix: make verify", file=sys.stderr)
            return 1
    findings = [record["finding"] for record in records if record["finding"]]
    if findings:
        print(f"\nto mend first: {findings[0]['found']} [{findings[0]['cause']}]\n  {findings[0]['fix']}")
    print(f"\n{'check':<9}{'verdict':<10}{'seconds':>7}  evidence")
    for record in records:
        facts = " · ".join(record["facts"]) or record["finding"]["found"]
        print(f"{record['check']:<9}{record['verdict']:<10}{record['seconds']:>7.1f}  {facts}")
    failed = [record["check"] for record in records if record["verdict"] == "fail"]
    print(f"\nnot verified: {', '.join(failed)}" if failed else "\nverified: smoke_frame.png, ppo_smoke.zip, proof/")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
