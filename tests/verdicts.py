"""What the tests of the checks share: asking a check, with a fault in it or not, and judging how it ends.

`@injects(cause, by, remedy)` says which diagnosis a test brings about, how, and which printed remedy it then
applies and sees succeed; tests/pages.py makes docs/protocol.md's table of it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest import mock

import pytest
from conftest import INHERITED, Clone

from checks import expectation

LAB = ("docker/dev.sh", "python", "-m")
SHORT = ("--n-envs", "2", "--total-steps", "400")
injects = pytest.mark.injects


def each_injected(test):
    """Parametrize a test by its @injects: `cause`, and what else they give by name."""
    marks = [mark for mark in reversed(test.pytestmark) if mark.name == "injects"]
    names = ["cause", *marks[0].kwargs]
    values = [(mark.args[0], *(mark.kwargs[name] for name in names[1:])) for mark in marks]
    return pytest.mark.parametrize(names, values, ids=lambda value: "" if isinstance(value, tuple) else None)(test)


class Asked(NamedTuple):
    """How a check ended, said, and what it wrote down."""

    returncode: int
    stdout: str
    stderr: str
    record: dict


def ask(check: ModuleType, *options: str, **environment: str) -> Asked:
    """Ask a check in this process, where a test can put a fault into it; its evidence stays nowhere."""
    ended_by = signal.getsignal(signal.SIGTERM)
    settings = {name: value for name, value in os.environ.items() if name not in INHERITED}
    with (
        tempfile.TemporaryDirectory() as proof,
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
        mock.patch.dict(
            os.environ, settings | {"ENGINE": "local", "EXPECT": "cpu", "PROOF": proof} | environment, clear=True
        ),
        mock.patch.object(check, "expected", expectation.expected.__wrapped__, create=True),
    ):
        status = check.main([*options])
        name = check.__name__.rpartition("_")[2]
        (record,) = [json.loads(path.read_text()) for path in Path(proof).glob(f"{name}*.json")]
    signal.signal(signal.SIGTERM, ended_by)
    for process in multiprocessing.active_children():  # after an error they are left to end with the check's process
        process.kill()
        process.join()
    return Asked(status, out.getvalue(), err.getvalue(), record)


def evidence(lab: Clone, check: str) -> dict:
    """What the check wrote down."""
    return json.loads((lab.path / f"proof/{check}.json").read_text())


def remedy(run: Asked | subprocess.CompletedProcess) -> str:
    """The command that the message ends in; what follows a semicolon is another way."""
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("fix: ")]
    return line.removeprefix("fix: ").partition("; or")[0]


def assert_one_clear_error(run: Asked | subprocess.CompletedProcess, check: str, cause: str) -> None:
    """Expected, found, fix: each once, and no traceback."""
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count(f"error: {check}: expected ") == 1, run.stderr
    assert run.stderr.count(f"[{cause}]\n") == 1, run.stderr
    assert run.stderr.count("\nfix: ") == 1
    assert "Traceback" not in run.stderr


def assert_degraded(run: Asked | subprocess.CompletedProcess, check: str, cause: str) -> None:
    """The verdict's line, and the same three lines as a warning."""
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith(f"degraded  {check} "), run.stdout
    assert run.stderr.count(f"warning: {check}: expected ") == 1, run.stderr
    assert run.stderr.count(f"[{cause}]\n") == 1, run.stderr
