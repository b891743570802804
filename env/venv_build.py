"""Build the lab's virtual environment in DIR, which must not exist, and test it.

    python -I env/venv_build.py DIR

Run by env/venv.sh, the gate, with the interpreter of the base layer, once env/venv_key.py has judged that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # which -I leaves out
from env.kit import taken_from_kit
from env.uv import (
    IN_IMAGE,
    Trouble,
    conduct,
    find_uv,
    install,
    make_venv,
    own_environment,
    run_watched,
    uv_environment,
)
from env.venv_key import BASE_LOCKS, LOCK, base_torch, key, labs_base

del sys.path[0]


def install_packages(uv, folder, environment):
    """Make a venv in `folder` that sees the base layer, and install the lock into it."""
    environment = uv_environment(environment)
    make_venv(uv, environment, folder, "--system-site-packages", "--prompt", "robotics-lab")
    base = [base_torch()[1]] if labs_base() else []
    if sys.prefix != sys.base_prefix:
        # --system-site-packages means those of the interpreter under the base layer's own venv.
        base += [path for path in sys.path if Path(sys.prefix) in Path(path).parents and Path(path).is_dir()]
    if base:
        site_packages = next(Path(folder).glob("lib/python*/site-packages"))
        (site_packages / "base-layer.pth").write_text("".join(f"{path}\n" for path in base))
    install(uv, environment, folder, LOCK)


def in_image():
    """Say whether the image holds the packages that this key asks for, ready to be copied."""
    stamp = IN_IMAGE / ".requirements_hash"
    elsewhere = ("sha256 ", "image ", "repository ")  # what differs between the image and a repository in it
    wanted = [line for line in key().splitlines() if not line.startswith(elsewhere)]
    return stamp.exists() and wanted == [
        line for line in stamp.read_text().splitlines() if not line.startswith(elsewhere)
    ]


def build(folder):
    """Build a venv in `folder`, with the project if it is here, and test it."""
    environment = taken_from_kit(own_environment(), needs_torch=False)
    python = f"{folder}/bin/python"
    uv = find_uv(environment)
    if in_image():
        print("venv: copying the image's packages", file=sys.stderr, flush=True)
        run_watched(["cp", "--archive", "--no-preserve=ownership", IN_IMAGE, folder], environment)
        for name in (".inventory", ".requirements_hash"):
            (Path(folder) / name).unlink()
    else:
        install_packages(uv, folder, environment)
    if Path("checks").is_dir():  # the image is built without the project, which changes more often
        print("venv: installing the project", file=sys.stderr, flush=True)
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        run_watched([uv, "pip", "install", "--python", python, *options, "--editable", "."], environment)
    contents = subprocess.run(
        [python, "-P", "env/venv_contents.py", *map(str, base_torch()), *(BASE_LOCKS if labs_base() else [])],
        env={**environment, "PYTHONNOUSERSITE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if contents.returncode:
        raise Trouble("the new environment is not what the lock says; what differs is above", "make venv")
    (Path(folder) / ".contents").write_text(contents.stdout)


if __name__ == "__main__":
    sys.exit(conduct(build, sys.argv[1]))
