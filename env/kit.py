"""A kit: a folder with all that a machine needs to build the lab's environment without a network.

    kit.txt       for which Python, machine and locks it is
    wheels/       a wheel for every pin, taken by its hash; pip and uv among them; torch's, unless it is left out
    image.tar     the container's image, where it was asked for
    SHA256SUMS    of all that

Where KIT names one, env/base_build.py and env/venv_build.py verify it and take everything from it. env/lock/wheels.py
makes one.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from env.uv import Trouble
from env.venv_key import BASE_LOCKS, LOCK
from env.wheel_files import sha256

TORCH, TORCH_NEEDS = BASE_LOCKS
NEEDED = [LOCK, "env/uv.txt", TORCH_NEEDS]


def verify(folder: Path, needs_torch: bool) -> None:
    """Verify that a kit is complete, unchanged, and for this Python, machine and lock. Raises Trouble."""
    again = "make kit, on a machine with a network; copy the folder again"
    if not (folder / "kit.txt").is_file() or not (folder / "SHA256SUMS").is_file():
        raise Trouble(f"KIT={folder} is not a kit, or incomplete: it lacks kit.txt or SHA256SUMS", again)
    lines = re.findall(r"^(\w{64})  (.+)$", (folder / "SHA256SUMS").read_text(), re.MULTILINE)
    listed = {name: digest for digest, name in lines}
    for path in [folder / "kit.txt", *sorted((folder / "wheels").glob("*"))]:
        if str(path.relative_to(folder)) not in listed:
            why = (
                f"{folder / 'SHA256SUMS'} does not list {path.relative_to(folder)}: either was changed, or copied badly"
            )
            raise Trouble(why, again)
    for name, digest in listed.items():
        if name == "image.tar":
            continue  # docker/image.sh verifies it, when it is loaded
        if not (folder / name).is_file():
            raise Trouble(f"the kit is incomplete: {folder / name} is missing", again)
        if sha256(folder / name) != digest:
            raise Trouble(
                f"{folder / name} has another checksum than the kit says: it was changed, or copied badly", again
            )
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


def taken_from_kit(environment: dict[str, str], needs_torch: bool) -> dict[str, str]:
    """Return the environment to fetch packages in: all come from the kit where KIT names one. Raises Trouble."""
    if not environment.get("KIT"):
        return environment
    kit = Path(environment["KIT"]).absolute()
    verify(kit, needs_torch)
    return offline(environment, kit) | {"KIT": str(kit)}


def offline(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Return `environment` with which pip and uv take packages from the kit, and from nowhere else."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("PIP_", "UV_"))}
    kept |= {name: environment[name] for name in ("UV_CACHE_DIR",) if name in environment}
    wheels = (folder / "wheels").as_uri()  # a URL: pip and uv split paths at spaces and commas
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels, "PIP_CONFIG_FILE": os.devnull}
    return kept | pip | {"UV_FIND_LINKS": wheels, "UV_OFFLINE": "1", "UV_NO_CONFIG": "1"}
