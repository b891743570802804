"""The wheels of a kit (env/kit.py), for this machine or another; env/lock/make_kit.sh makes the rest of it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from env.kit import NEEDED, TORCH
from env.uv import LOCKED, Trouble, own_environment, run_watched
from env.wheel_files import sha256

# Wheels for these versions of glibc and older ones are taken: Debian 11, Ubuntu 20.04.
GLIBC = ["2_31", "2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5"]
ABOUT = "# A kit of the robotics lab. In a clone of it, without a network: make verify KIT=this/folder\n"


def download(folder: Path, lock: str, machine: str, python: str, *sources: str, show: bool = True) -> None:
    """Put a wheel for every pin of `lock` into `folder`, by hash. Raises Trouble."""
    print(f"kit: fetching {lock} for Python {python}, {machine}", file=sys.stderr, flush=True)
    tags = [f"--platform=manylinux_{version}_{machine}" for version in GLIBC]
    tags += [f"--platform=manylinux2014_{machine}", "--implementation=cp", f"--python-version={python}"]
    options = ["--quiet", "--disable-pip-version-check", "--dest", str(folder), *tags, *sources]
    run_watched([sys.executable, "-m", "pip", "download", *options, *LOCKED, lock], own_environment(), show, "make kit")


def make(folder: Path, machine: str, python: str, torch: bool) -> None:
    """Write a kit's kit.txt and wheels. Raises Trouble."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    for lock in NEEDED if torch else NEEDED[:2]:
        download(wheels, lock, machine, python)
    if torch:
        try:
            download(wheels, TORCH, machine, python, "--no-index", show=False)
        except Trouble:  # no find-links of this machine's has it
            index = re.search(r"^# index: (\S+)", Path(TORCH).read_text(), re.MULTILINE).group(1)
            download(wheels, TORCH, machine, python, f"--index-url={index}")
    about = {"python": python, "machine": machine, "torch": "yes" if torch else "no"}
    about |= {name: sha256(Path(name)) for name in [*NEEDED, TORCH]}
    (folder / "kit.txt").write_text(ABOUT + "".join(f"{name} {value}\n" for name, value in about.items()))
