"""A kit: what another machine needs to build the lab's environment without a network.

    python env/kit.py FOLDER [--machine aarch64] [--python 3.12] [--torch 0|1]     make one; docker/kit.sh runs this

    kit.txt       for which Python, machine and locks it is
    wheels/       a wheel for every pin, taken by its hash; pip and uv among them; torch's, unless it is left out
    image.tar     the container's image, where it was asked for
    SHA256SUMS    of all that

The gate takes everything from a kit that KIT names: env/venv_build.py verifies it first, and asks no index.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import sys
from pathlib import Path

from fetch import LOCKED, Trouble, own_environment, run_watched
from venv_key import LOCK, made_for

TORCH = "env/torch-cpu.txt"
NEEDED = [LOCK, "env/uv.txt", "env/torch-cpu-needs.txt"]
# Wheels for these versions of glibc and older ones are taken: Debian 11, Ubuntu 20.04.
GLIBC = ["2_31", "2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5"]
ABOUT = "# A kit of the robotics lab. In a clone of it, without a network: make verify KIT=this/folder\n"


def sha256(path: Path) -> str:
    """Return the digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, needs_torch: bool) -> None:
    """See that a kit is whole, untouched, and for this Python, machine and lock. Raises Trouble, naming the file."""
    again = "make kit, on a machine with a network; copy the folder anew"
    if not (folder / "kit.txt").is_file() or not (folder / "SHA256SUMS").is_file():
        raise Trouble(f"KIT={folder} is not a kit, or not a whole one: it lacks kit.txt or SHA256SUMS", again)
    for digest, name in re.findall(r"^(\w{64})  (.+)$", (folder / "SHA256SUMS").read_text(), re.MULTILINE):
        if name == "image.tar":
            continue  # docker/image.sh verifies it, when it is loaded
        if not (folder / name).is_file():
            raise Trouble(f"the kit is incomplete: {folder / name} is missing", again)
        if sha256(folder / name) != digest:
            raise Trouble(f"the kit was tampered with, or copied badly: {folder / name} is not what it was", again)
    about = dict(line.split() for line in (folder / "kit.txt").read_text().splitlines() if not line.startswith("#"))
    here = {"python": "{}.{}".format(*sys.version_info[:2]), "machine": platform.machine()}
    for name, value in here.items():
        if about.get(name) != value:
            fix = f"make kit PLATFORM={here['machine']} PYTHON_VERSION={here['python']}"
            raise Trouble(f"the kit is for {name} {about.get(name)}, and this is {value}", fix)
    for name in [*NEEDED, TORCH]:
        if about.get(name) != sha256(Path(name)):
            raise Trouble(f"the kit was made for another {name} than this one", "make kit, from this commit")
    if needs_torch and about.get("torch") != "yes":
        raise Trouble("the kit has no torch, and neither has this interpreter", "make kit TORCH=1")


def offline(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Return `environment` with which pip and uv take packages from the kit, and from nowhere else."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("PIP_", "UV_"))}
    kept |= {name: environment[name] for name in ("UV_CACHE_DIR",) if name in environment}
    wheels = (folder / "wheels").as_uri()  # a URL: pip and uv split paths at spaces and commas
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels, "PIP_CONFIG_FILE": os.devnull}
    return kept | pip | {"UV_FIND_LINKS": wheels, "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}


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


def main(argv: list[str]) -> int:
    """Make a kit; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--machine", default="")
    parser.add_argument("--python", default="")
    parser.add_argument("--torch", default="1")
    arguments = parser.parse_args(argv)
    machine = arguments.machine or platform.machine()
    python = ".".join((arguments.python or platform.python_version()).split(".")[:2])
    for setting, value, allowed in (
        ("PLATFORM", machine, made_for("machine")),
        ("PYTHON_VERSION", python, made_for("python")),
        ("TORCH", arguments.torch, ["0", "1"]),
    ):
        if value not in allowed:
            print(f"error: {setting}={value} is not one of {', '.join(allowed)}", file=sys.stderr)
            print(f"fix: make kit {setting}={allowed[-1]}", file=sys.stderr)
            return 2
    try:
        make(arguments.folder, machine, python, arguments.torch == "1")
    except KeyboardInterrupt:
        return 130
    except Trouble as trouble:
        print(f"error: kit: {trouble}\nfix: {trouble.fix}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
