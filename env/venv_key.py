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
import re
import sys
from pathlib import Path

LOCK = "requirements.txt"
BASE_LOCKS = ["env/torch-cpu.txt", "env/torch-cpu-needs.txt"]  # of the lab's own base layer
VERSION = "{}.{}".format(*sys.version_info[:2])


def cache_folder():
    """Return the folder in which the lab keeps what all clones share. Raises RuntimeError where there is no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "robotics-lab"


def interpreters_torch():
    """Return (version, folder) of the torch that this interpreter sees by itself, or None."""
    for folder in map(Path, sys.path):
        for info in folder.glob("torch-*.dist-info"):
            return info.name[len("torch-") : -len(".dist-info")], folder
    return None


def labs_base():
    """Return (digest, folder) of the base layer that the lab makes for this interpreter, or None where it has torch.

    Raises RuntimeError where there is no home.
    """
    if interpreters_torch():
        return None
    parts = [sys.version, platform.machine()]
    parts += [Path(name).read_text() for name in [*BASE_LOCKS, "env/base_build.py"]]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    folder = os.environ.get("LAB_BASE")  # the image's, or that of a candidate lock
    return digest, Path(folder or cache_folder() / f"base-py{VERSION}-{platform.machine()}-{digest[:12]}")


def base_torch():
    """Return (version, folder) of the base layer's torch: the interpreter's own, or the lab's base layer's."""
    base = labs_base()
    if not base:
        return interpreters_torch()
    version = re.search(r"^torch==(\S+)", Path(BASE_LOCKS[0]).read_text(), re.MULTILINE).group(1)
    return version, base[1] / "lib" / f"python{VERSION}" / "site-packages"


def key():
    """Return the key as lines of `name value`; the first is the digest of the others."""
    base = labs_base()
    lines = [
        f"python {sys.executable}",
        f"prefix {sys.prefix} {sys.base_prefix}",
        f"version {' '.join(sys.version.split())}",
        f"machine {platform.machine()}",
        "torch {} {}".format(*base_torch()),
        *(["base {} {}".format(*base)] if base else []),
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
    if VERSION not in pythons:
        why = f"python {platform.python_version()} ({sys.executable}) is not one of {', '.join(pythons)}"
        return why, "make verify PYTHON=python3.12, or any of these that is installed"
    if platform.machine() not in machines:
        why = f"this machine is {platform.machine()}; {LOCK} is made for {', '.join(machines)}"
        return why, "another machine; a lock for this one too begins at MACHINES in env/lock/resolve.py"
    return None


def main():
    """Print the key; return the exit status, 3 where the lab does not run on this Python or machine, or has no home."""
    wrong = refusal()
    try:
        text = "" if wrong else key()
    except RuntimeError:  # a uid without a name, and no HOME
        wrong = "there is no home folder to keep torch in", "export HOME=/a/folder/that/is/yours"
    if wrong:
        print("error: {}\nfix: {}".format(*wrong), file=sys.stderr)
        return 3
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
