"""The tests judge the repository: real make, real processes, in clones of their own under a path with a space."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What make test itself runs under, and a clone must not inherit.
INHERITED = ["ENGINE", "EXPECT", "LAB_ROOT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MUJOCO_GL", "PYOPENGL_PLATFORM"]
INHERITED += ["PYTHON", "PYTHONNOUSERSITE", "STRICT", "VENV", "VIRTUAL_ENV"]


def base_python() -> str:
    """The interpreter that the venv running the tests was made from."""
    stamp = (ROOT / os.environ.get("VENV", ".venv") / ".requirements_hash").read_text()
    return next(line.partition(" ")[2] for line in stamp.splitlines() if line.startswith("python "))


class Clone:
    """A copy of the repository's files, and a way to run commands in it."""

    def __init__(self, folder: Path):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.path = folder
        self.environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
        path = os.environ["PATH"].split(":")
        self.environment["PATH"] = ":".join(folder for folder in path if folder != f"{sys.prefix}/bin")
        self.environment |= {"PYTHON": base_python(), "ENGINE": "local"}

    @property
    def venv(self) -> Path:
        return self.path / ".venv"

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Start a command in the clone, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a command in the clone to its end, however it ends."""
        process = self.start(*command, **environment)
        out, err = process.communicate(timeout=1200)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ok(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a command that must succeed."""
        run = self.run(*command, **environment)
        assert run.returncode == 0, run.stdout + run.stderr
        return run

    def leftovers(self) -> list[str]:
        """What lies beside the venv that should not."""
        return sorted(path.name for path in self.path.glob(".venv*") if path.name not in (".venv", ".venv.lock"))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone, without a venv."""
    return Clone(tmp_path / "a fresh clone")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose venv is built; for tests that leave it as it is."""
    lab = Clone(tmp_path_factory.mktemp("lab") / "a clone")
    lab.ok("make", "venv")
    return lab


def in_namespace(mounts: str, *command: str) -> tuple[str, ...]:
    """The command, in a mount namespace in which the shell commands `mounts` were run as root."""
    return ("unshare", "--map-root-user", "--mount", "bash", "-euc", f'{mounts}\nexec "$@"', "bash", *command)
