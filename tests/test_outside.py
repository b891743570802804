"""Whoever asks a program that may hang asks with a time limit: `within` in scripts, checks/outside.py in the checks."""

from __future__ import annotations

import re
import subprocess
import time

import pytest
from conftest import ROOT

from checks import outside

# They ignore what can be ignored. The first leaves a child that keeps the pipes open; the second closes them itself.
STUBBORN = ["bash", "-c", "trap '' TERM INT HUP; echo asked; sleep 20 & wait"]
SILENT = ["bash", "-c", "trap '' TERM INT HUP; echo asked; exec >&- 2>&-; sleep 20"]


def in_script(words: str, *program: str) -> subprocess.CompletedProcess:
    """Run a command of env/prelude.sh as the scripts do; "$@" in it is the program."""
    script = f"set -euo pipefail; . env/prelude.sh; {words}"
    return subprocess.run(
        ["bash", "-c", script, "bash", *program], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("program", [STUBBORN, SILENT], ids=["stubborn", "silent"])
@pytest.mark.parametrize("name", ["within", "all_within"])
def test_program_that_hangs_is_left_in_a_script(name, program):
    started = time.monotonic()
    run = in_script(f'said=$({name} 0.5 "$@" 2>&1) || echo "$? $said"', *program)
    assert (run.returncode, run.stdout) == (0, "124 asked\n")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("within 9 echo answer", "answer|0"),
        ("within 9 ls /nosuch", "|2"),
        ("within 9 nosuch-program", "|127"),
        ("all_within 9 bash -c 'echo no >&2; exit 7'", "no|7"),
    ],
)
def test_answer_and_status_come_back_from_a_script(words, said):
    assert in_script(f'said=$({words}) && status=0 || status=$?; echo "$said|$status"').stdout == f"{said}\n"


@pytest.mark.parametrize("program", [STUBBORN, SILENT], ids=["stubborn", "silent"])
def test_program_that_hangs_is_left_by_a_check(program):
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        outside.run(program, 0.5)
    assert time.monotonic() - started < 10


def test_checks_start_programs_with_a_time_limit_only():
    """But for the checks themselves, which `checks all` starts and which end when their questions do."""
    starting = re.compile(r"subprocess\.(run|Popen|call|check_\w+|getoutput)|os\.(system|popen|spawn\w+|exec\w+)\b")
    found = {path.name for path in ROOT.glob("checks/*.py") if starting.search(path.read_text())}
    assert found == {"outside.py", "__main__.py"}
