"""What is wrong where the Fetch environments do not load or do not obey."""

from __future__ import annotations

import re
from pathlib import Path

from checks.causes import Failure

CAUSES = """
mujoco.library-missing a system library that the compiled extensions need is missing or too old
    env/system/install.sh --reinstall …; a newer distribution, or the container
mujoco.package-missing a package is not installed
mujoco.import a package is damaged
mujoco.not-registered gymnasium-robotics is not what the lock says
    make venv
mujoco.version-mismatch mujoco, gymnasium and gymnasium-robotics do not fit together
    make venv; or, if it is the lock that is wrong: git checkout requirements.in requirements.txt
mujoco.model a model or an environment is made of other numbers than when the lock was made: masses, damping, thresholds
    rm -rf .venv && make venv; or, if it is meant: make golden
mujoco.physics everything runs, but does not move or reward as it did when the lock was made: another mujoco
    make venv; or, if it is meant: make golden
mujoco.bad-observation observations are not what the environment promises
mujoco.warnings the simulator warns: an unstable model, or memory too small for its contacts
mujoco.simulator-error the simulator gives up
mujoco.disobeys the gripper does not go where it is told
mujoco.goal-missed a scripted policy that solves the task no longer does
mujoco.dropped the fingers do not hold what they have grasped
mujoco.seed-ignored another seed gives the same start
mujoco.reset an environment that was used is not reset to what a new one starts from
    make venv
mujoco.not-deterministic the same computation gave two results
    make venv; if it stays, test this machine's memory and processor
"""

# The system libraries that compiled extensions need, and the Debian packages that bring them.
LIBRARIES = {"libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6"}
LIBRARY_LACKS = re.compile(r"(\S+\.so[.\d]*): (cannot open shared object file|file too short|version .* not found)")


def import_failure(reason: Exception) -> Failure:
    """Return what an import that failed means: a package, a library of the system, or the venv."""
    wanted = "to import mujoco, gymnasium and gymnasium_robotics"
    if isinstance(reason, ModuleNotFoundError):
        # The package is there and lacks a module that another one imports: their versions do not fit.
        cause = "mujoco.version-mismatch" if "." in (reason.name or "") else "mujoco.package-missing"
        return Failure(cause, expected=wanted, found=str(reason))
    lacking = LIBRARY_LACKS.search(str(reason))
    if lacking and (package := LIBRARIES.get(Path(lacking[1]).name)):
        fix = f"env/system/install.sh --reinstall {package}"
        return Failure("mujoco.library-missing", expected=wanted, found=lacking[0], fix=fix)
    return Failure("mujoco.import", expected=wanted, found=str(reason).strip())
