"""Does this venv hold what the lock says, and the base layer's torch? Run by env/venv_build.py in a new venv.

    .venv/bin/python -P env/venv_contents.py TORCH_VERSION TORCH_FOLDER [BASE_LOCK …]

Passes when every pin is installed in the venv at its version, torch is the base layer's (the arguments) and
recent enough for Stable-Baselines3, and everything imports. Where the lab has made the base layer, from BASE_LOCKs,
these too are installed, and lack nothing.
Prints the line that says so, which the builder keeps in the venv as .contents.
"""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, distribution, requires
from io import StringIO
from pathlib import Path

from packaging.requirements import Requirement

IMPORTS = ["gymnasium", "gymnasium_robotics", "imageio", "mujoco", "stable_baselines3", "tensorboard", "torch"]


def differences(locks: list[str], where: Path) -> list[str]:
    """Say where the packages under `where` are not what `locks` pin."""
    found = []
    for lock in locks:
        for name, wanted in re.findall(r"^([\w.-]+)==(\S+)", Path(lock).read_text(), re.MULTILINE):
            try:
                there = distribution(name)
            except PackageNotFoundError:
                found.append(f"{name} {wanted} is not installed")
                continue
            if there.version != wanted:
                found.append(f"{name} is {there.version}, {lock} says {wanted}")
            elif not Path(str(there.locate_file(""))).is_relative_to(where):
                found.append(f"{name} comes from {there.locate_file('')}, not from {where}")
    return found


def missing(requirement: Requirement) -> list[str]:
    """Say that what torch's CPU wheel needs is not there, where it is not."""
    try:
        version = distribution(requirement.name).version
    except PackageNotFoundError:
        return [f"torch needs {requirement}, which no lock pins: TORCH_NEEDS in env/lock/resolve.py"]
    fits = requirement.specifier.contains(version, prereleases=True)
    return [] if fits else [f"torch needs {requirement}, and {version} is locked"]


def torch_differences(version: str, folder: str, locked: bool) -> list[str]:
    """Say where torch is not the base layer's, or lacks what it needs where the lab has `locked` that.

    And where it is not one that Stable-Baselines3 takes.
    """
    torch = distribution("torch")
    here = str(torch.locate_file(""))
    found = []
    if (torch.version, here) != (version, folder):
        found.append(f"torch is {torch.version} from {here}; the base layer's is {version} from {folder}")
    for requirement in map(Requirement, (requires("torch") or []) if locked else []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found += missing(requirement)
    for requirement in map(Requirement, requires("stable-baselines3") or []):
        # prereleases: the NGC image's torch is one, 2.10.0a0+...
        if requirement.name == "torch" and not requirement.specifier.contains(torch.version, prereleases=True):
            found.append(f"torch is {torch.version}; stable-baselines3 needs {requirement.specifier}")
    return found


def main() -> int:
    """Print what is wrong to stderr, or the proof; return the exit status."""
    version, folder, *base_locks = sys.argv[1:]
    wrong = differences(["requirements.txt"], Path(sys.prefix)) + differences(base_locks, Path(folder))
    wrong += torch_differences(version, folder, locked=bool(base_locks))
    for name in IMPORTS + (["checks"] if Path("checks").is_dir() else []):
        try:
            with redirect_stderr(StringIO()):  # gymnasium-robotics prints advice about its other environments
                importlib.import_module(name)
        except Exception as reason:  # a library that fails to load raises whatever it likes
            wrong.append(f"import {name}: {type(reason).__name__}: {reason}")
    if wrong:
        print(*(f"  {line}" for line in wrong), sep="\n", file=sys.stderr)
        return 1
    source = f"the CPU wheel of {base_locks[0]}" if base_locks else f"the base layer's, {folder}"
    print(f"python {sys.version.split()[0]} · torch {version} ({source})")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
