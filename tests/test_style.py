"""shellcheck and ruff have nothing to say, and the tree keeps to its own rules."""

from __future__ import annotations

import json
import re
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


# Each is one command, or says of each of its commands what follows where that fails.
QUESTIONS = "added all_within ask ask_server engine engine_answers error fill image_files inside inventory"
QUESTIONS += " irreplaceable is_current is_current_in_image is_empty is_kit is_labs is_labs_beside keep_list nvidia_gpu"
QUESTIONS += " take_lock where within"


def test_what_is_called_in_a_condition_needs_no_errexit():
    """In a function that is called so, `set -e` is off (SC2310): a build went on with an empty path, and wrote to /."""
    command = ["shellcheck", "-x", "-P", ".", "-o", "check-set-e-suppressed", "-i", "SC2310", "-f", "json"]
    command += [".ci/run", *files("*.sh")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    called = set()
    for note in json.loads(found.stdout):
        line = (ROOT / note["file"]).read_text().splitlines()[note["line"] - 1]
        called.add(re.match(r"\w+", line[note["column"] - 1 :]).group())
    assert called <= set(QUESTIONS.split())


def test_scripts_are_executable_and_stop_at_errors():
    for name in files("*.sh"):
        text = (ROOT / name).read_text()
        if "# Sourced" in text:
            continue
        assert (ROOT / name).stat().st_mode & 0o111, name
        assert "\nset -euo pipefail\n" in text, name


def test_scripts_go_where_they_say():
    """With the user's CDPATH `cd docker/..` goes to another clone, and prints where."""
    for name in [".ci/run", *files("*.sh")]:
        text = (ROOT / name).read_text()
        if "# Sourced" not in text and (goes := re.search(r"\bcd -", text)):
            assert "\nunset CDPATH\n" in text[: goes.start()], name


def test_tests_that_the_protocol_names_are_there():
    """`file::test`, and then other tests of the same file by their own names."""
    named, text = re.findall(r"`(?:(test_\w+)::)?(test_\w+)`", (ROOT / "docs/protocol.md").read_text()), ""
    assert len(named) > 100
    for file, test in named:
        if file:
            (path,) = ROOT.glob(f"tests/**/{file}.py")
            text = path.read_text()
        assert f"def {test}(" in text, test


def test_nothing_large_is_tracked():
    assert sum((ROOT / name).stat().st_size for name in files()) < 5e6
