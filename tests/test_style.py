"""shellcheck and ruff have nothing to say, and the tree keeps to its own rules."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT

PYTHON = [sys.executable, "-m"]


def files(*patterns: str) -> list[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    return subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "command",
    [
        ["shellcheck", "-x", "-P", ".", "docker/bashrc", ".ci/run", "tests/faults/bin/nvidia-smi", *files("*.sh")],
        [*PYTHON, "ruff", "check", "."],
        [*PYTHON, "ruff", "format", "--check", "."],
    ],
    ids=["shellcheck", "ruff-check", "ruff-format"],
)
def test_linter_is_content(command):
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_scripts_are_executable_and_stop_at_errors():
    for name in files("*.sh"):
        text = (ROOT / name).read_text()
        if "# Sourced" in text:
            continue
        assert (ROOT / name).stat().st_mode & 0o111, name
        assert "\nset -euo pipefail\n" in text, name


def test_nothing_large_is_tracked():
    assert sum((ROOT / name).stat().st_size for name in files()) < 5e6
