"""Do the Fetch environments obey?

Passes when all Fetch environments are registered and can be made; when in each of them a scripted policy
reaches, pushes, strikes or grasps and lifts as it did when the lock was made (checks/golden.json), with valid
observations and without a warning from the simulator; when the gripper goes where it is told, and to every goal;
and when the same seed gives the same trajectory, to the last bit.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from checks.verdict import Evidence, Failure, Verdict, conduct, parser

# What compiled extensions want of the system, and the Debian package that brings it.
LIBRARIES = {"libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6"}
LIBRARY_LACKS = re.compile(r"(\S+\.so[.\d]*): (cannot open shared object file|file too short|version .* not found)")


def import_failure(reason: Exception) -> Failure:
    """Return what an import that failed means: a package, a library of the system, or the venv."""
    wanted = "to import mujoco, gymnasium and gymnasium_robotics"
    if isinstance(reason, ModuleNotFoundError):
        # A package that is there without the module that another one wants is of another version than that one knows.
        cause = "mujoco.version-mismatch" if "." in (reason.name or "") else "mujoco.package-missing"
        return Failure(cause, expected=wanted, found=str(reason), fix="make venv")
    lacking = LIBRARY_LACKS.search(str(reason))
    if lacking and (package := LIBRARIES.get(Path(lacking[1]).name)):
        return Failure(
            "mujoco.library-missing", expected=wanted, found=lacking[0], fix=f"env/system.sh --reinstall {package}"
        )
    return Failure("mujoco.import", expected=wanted, found=str(reason).strip(), fix="make venv")


def question(arguments: argparse.Namespace, evidence: Evidence) -> Verdict:
    """Ask for the environments, their tasks, their obedience and their determinism."""
    os.environ["MUJOCO_GL"] = "disable"  # physics needs no GL, whatever is wrong with it
    try:
        from checks import physics
    except (ImportError, OSError) as reason:
        raise import_failure(reason) from reason
    return Verdict("ok", physics.ask(evidence))


def main(argv: list[str] | None = None) -> int:
    """Run the check."""
    return conduct("mujoco", question, parser("mujoco", __doc__).parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
