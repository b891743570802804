"""Build the lab's virtual environment in DIR, which must not exist, and test it.

    python -I env/venv_build.py DIR

Run by env/venv.sh, the gate, with the interpreter of the base layer, once env/venv_key.py has judged that.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # which -I leaves out
from env.kit import offline, verify
from env.uv import IN_IMAGE, LOCKED, Trouble, find_uv, own_environment, run_watched, uv_environment
from env.venv_key import base_torch, key

del sys.path[0]


def install_packages(uv, folder, environment):
    """Make a venv in `folder` and install the locks into it: the project layer only, where the base has torch."""
    environment = uv_environment(environment)
    no_index = (
        ["--no-index"] if environment.get("PIP_NO_INDEX", "").lower() in ("1", "on", "t", "true", "y", "yes") else []
    )

    def install(*arguments, show=True):
        # Copies, not links: an edit or a fault in this venv must not reach the cache and so the next.
        options = ["--python", f"{folder}/bin/python", "--link-mode=copy", *no_index]
        print(f"venv: installing {arguments[-1]}", file=sys.stderr, flush=True)
        run_watched([uv, "pip", "install", *options, *arguments], environment, show)

    options = ["--quiet", "--relocatable", "--system-site-packages", "--no-project", "--prompt", "robotics-lab"]
    run_watched([uv, "venv", *options, "--python", sys.executable, folder], environment)
    if sys.prefix != sys.base_prefix:
        # --system-site-packages means those of the interpreter under the base layer's own venv.
        inherited = [path for path in sys.path if Path(sys.prefix) in Path(path).parents and Path(path).is_dir()]
        site_packages = next(Path(folder).glob("lib/python*/site-packages"))
        (site_packages / "base-layer.pth").write_text("".join(f"{path}\n" for path in inherited))
    install(*LOCKED, "requirements.txt")
    if not base_torch():
        install_torch(install, environment.get("UV_FIND_LINKS"), no_index)
        install(*LOCKED, "env/torch-cpu-needs.txt")


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
    environment = own_environment()
    if environment.get("KIT"):
        kit = Path(environment["KIT"]).absolute()
        verify(kit, needs_torch=base_torch() is None)
        environment = offline(environment, kit) | {"KIT": str(kit)}
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
        [python, "-P", "env/venv_contents.py", *map(str, base_torch() or ())],
        env={**environment, "PYTHONNOUSERSITE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if contents.returncode:
        raise Trouble("the new environment is not what the lock says; what differs is above", "make venv")
    (Path(folder) / ".contents").write_text(contents.stdout)


def install_torch(install, find_links, no_index):
    """Install torch's CPU wheel: from find-links without asking an index, else from torch's own index."""
    lock = "env/torch-cpu.txt"
    if no_index:
        return install(*LOCKED, lock)
    if find_links:
        try:
            return install("--no-index", *LOCKED, lock, show=False)
        except Trouble:
            print("venv: find-links has no torch for this machine; asking torch's index", file=sys.stderr)
    index = re.search(r"^# index: (\S+)", Path(lock).read_text(), re.MULTILINE).group(1)
    return install("--default-index", index, *LOCKED, lock)


def main(folder):
    """Build; return the exit status."""
    try:
        build(folder)
    except KeyboardInterrupt:
        print("venv: interrupted; the old one, if any, is untouched", file=sys.stderr)
        return 130
    except Trouble as reason:
        print(f"error: venv: {reason}\nfix: {reason.fix}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
