"""Do the Fetch environments obey?

Passes when all Fetch environments are registered and can be made; when in each of them a scripted policy
reaches, pushes, strikes or grasps and lifts as it did when the lock was made (checks/mujoco_golden.json), with valid
observations and without a warning from the simulator; when the gripper goes where it is told, and to every goal;
and when the same seed gives the same trajectory, to the last bit.
"""

from __future__ import annotations

import argparse
import os
import sys

from checks.arguments import parser
from checks.mujoco_errors import import_failure
from checks.verdict import Evidence, Verdict, conduct


def question(arguments: argparse.Namespace, evidence: Evidence) -> Verdict:
    """Ask for the environments, their tasks, their obedience and their determinism."""
    os.environ["MUJOCO_GL"] = "disable"  # physics needs no GL, whatever is wrong with it
    try:
        from checks import mujoco_physics
    except (ImportError, OSError) as reason:
        raise import_failure(reason) from reason
    return Verdict("ok", mujoco_physics.ask(evidence))


def main(argv: list[str] | None = None) -> int:
    """Run the check."""
    return conduct("mujoco", question, parser("mujoco", __doc__).parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
