"""Build the lab's own base layer in DIR, which must not exist: torch's CPU wheel, and what only torch needs.

    python -I env/base_build.py DIR

Run by env/base.sh, for an interpreter that has no torch. Its key has a digest of this file: an edit makes another base.
Every file is as its wheel has it, whatever uv's cache holds (env/wheel_files.py).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # which -I leaves out
from env.kit import taken_from_kit
from env.uv import Trouble, conduct, find_uv, install, make_venv, own_environment, uv_environment, without_index
from env.venv_key import BASE_LOCKS

del sys.path[0]

CONTENTS = "torch for the environments of the robotics lab; make clean-cache removes it once none needs it\n"


def build(folder: str) -> None:
    """Build. Raises Trouble."""
    environment = taken_from_kit(own_environment(), needs_torch=True)
    uv = find_uv(environment)
    environment = uv_environment(environment)
    make_venv(uv, environment, folder)
    torch, needs = BASE_LOCKS
    install_torch(uv, environment, folder, torch)
    install(uv, environment, folder, needs)
    (Path(folder) / ".contents").write_text(CONTENTS)


def install_torch(uv: Path, environment: dict[str, str], folder: str, lock: str) -> None:
    """Install torch's CPU wheel: from find-links without asking an index, else from torch's own index."""
    if without_index(environment):
        return install(uv, environment, folder, lock)
    if environment.get("UV_FIND_LINKS"):
        try:
            return install(uv, environment, folder, lock, "--no-index", show=False)
        except Trouble as trouble:
            if not trouble.said:
                raise  # of a cause that is known, such as a full disk
            print("venv: find-links has no torch for this machine; asking torch's index", file=sys.stderr)
    index = re.search(r"^# index: (\S+)", Path(lock).read_text(), re.MULTILINE).group(1)
    return install(uv, environment, folder, lock, "--default-index", index)


if __name__ == "__main__":
    sys.exit(conduct(build, sys.argv[1]))
