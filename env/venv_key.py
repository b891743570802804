"""Print what the venv is made from: all that would make the same lock another environment.

    python -I env/venv_key.py

Run by env/venv.sh, the gate, for every command, with the interpreter of the base layer; that may be one
without pip, without torch, or in a virtual environment of its own. Standard library only, and no syntax
newer than Python 3.7 before the version is judged, so that an old Python gets a sentence and not a SyntaxError.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

LOCK = "requirements.txt"


def base_torch():
    """Return (version, folder) of the torch that the base layer's interpreter sees, or None."""
    for folder in map(Path, sys.path):
        for info in folder.glob("torch-*.dist-info"):
            return info.name[len("torch-") : -len(".dist-info")], folder
    return None


def key():
    """Return the key as lines of `name value`; the first is the digest of the others."""
    torch = base_torch()
    lines = [
        f"python {sys.executable}",
        f"prefix {sys.prefix} {sys.base_prefix}",
        f"version {' '.join(sys.version.split())}",
        f"machine {platform.machine()}",
        "torch {} {}".format(*torch) if torch else "torch env/torch-cpu.txt",
        f"image {os.environ.get('LAB_IMAGE', 'none')}",
        f"repository {Path.cwd()}",  # the project is installed editable, by its path
    ]
    files = sorted(path for kind in ("*.py", "*.sh", "*.txt") for path in Path("env").glob(kind))
    for path in [Path(LOCK), Path("pyproject.toml"), *files]:
        lines.append(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return "\n".join([f"sha256 {digest}", *lines])


def made_for(name):
    """Return the words behind `name:` in the lock's header: the Pythons, or the machines, that it is made for."""
    for line in Path(LOCK).read_text().splitlines():
        if line.startswith(f"# {name}: "):
            return line.split()[2:]
    return []


def refusal():
    """Return what is wrong and what helps, where the lock is not made for this Python or machine; else None."""
    pythons, machines = made_for("python"), made_for("machine")
    if not pythons or not machines:
        return f"{LOCK} does not say for which Pythons and machines it is made", f"git checkout {LOCK}"
    version = "{}.{}".format(*sys.version_info[:2])
    if version not in pythons:
        why = f"python {platform.python_version()} ({sys.executable}) is not one of {', '.join(pythons)}"
        return why, "make verify PYTHON=python3.12, or any of these that is installed"
    if platform.machine() not in machines:
        why = f"this machine is {platform.machine()}; {LOCK} is made for {', '.join(machines)}"
        return why, "another machine; a lock for this one too begins at MACHINES in env/lock/resolve.py"
    return None


def main():
    """Print the key; return the exit status, 3 where the lab does not run on this Python or machine."""
    wrong = refusal()
    if wrong:
        print("error: {}\nfix: {}".format(*wrong), file=sys.stderr)
        return 3
    print(key())
    return 0


if __name__ == "__main__":
    sys.exit(main())
