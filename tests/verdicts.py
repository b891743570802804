"""What the tests of the checks share: running a check, with a fault in it or not, and judging how it ends.

`@injects(cause, by, remedy)` says which diagnosis a test brings about, how, and which printed remedy it then
applies and sees succeed; tests/pages.py makes docs/protocol.md's table of it.
"""

from __future__ import annotations

import json
import subprocess
import textwrap

import pytest
from conftest import Clone

LAB = ("docker/dev.sh", "python", "-m")
SHORT = ("--n-envs", "2", "--total-steps", "400")
injects = pytest.mark.injects


def evidence(lab: Clone, check: str) -> dict:
    """What the check wrote down."""
    return json.loads((lab.path / f"proof/{check}.json").read_text())


def remedy(run: subprocess.CompletedProcess) -> str:
    """The command that the message ends in; what follows a semicolon is another way."""
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("fix: ")]
    return line.removeprefix("fix: ").partition("; or")[0]


def assert_one_clear_error(run: subprocess.CompletedProcess, check: str, cause: str) -> None:
    """Expected, found, fix: each once, and no traceback."""
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count(f"error: {check}: expected ") == 1, run.stderr
    assert run.stderr.count(f"[{cause}]\n") == 1, run.stderr
    assert run.stderr.count("\nfix: ") == 1
    assert "Traceback" not in run.stderr


def assert_degraded(run: subprocess.CompletedProcess, check: str, cause: str) -> None:
    """The verdict's line, and the same three lines as a warning."""
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith(f"degraded  {check} "), run.stdout
    assert run.stderr.count(f"warning: {check}: expected ") == 1, run.stderr
    assert run.stderr.count(f"[{cause}]\n") == 1, run.stderr


def with_fault(lab: Clone, check: str, fault: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a check in a process in which the Python of `fault` has run first; `check` is the check's module there."""
    program = f"import sys, checks.check_{check} as check\n{textwrap.dedent(fault)}\nsys.exit(check.main(sys.argv[1:]))"
    return lab.run("docker/dev.sh", "python", "-c", program, *arguments, **environment)
