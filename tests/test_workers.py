"""The processes beside a training: they step the environments as they are, and none is waited for or left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Clone
from verdicts import LAB, SHORT, assert_one_clear_error, injects, remedy, with_fault

PLAIN = """\
import numpy as np
from checks import fetch, train_workers
from stable_baselines3.common.env_util import make_vec_env
if __name__ == "__main__":
    envs = [train_workers.smoke_environments(3, seed=1), make_vec_env(fetch.SMOKE_ENV, 3, seed=1)]
    assert len(envs[0].processes) == 3
    first, second = [env.reset() for env in envs]
    assert all(np.array_equal(first[key], second[key]) for key in first)
    for action in np.random.default_rng(0).uniform(-1, 1, (120, 3, 4)).astype(np.float32):
        (o1, r1, d1, _), (o2, r2, d2, _) = [env.step(action) for env in envs]
        assert all(np.array_equal(o1[key], o2[key]) for key in o1) and (d1 == d2).all()
        assert (r1.astype(np.float32) == r2).all()  # DummyVecEnv rounds rewards
    envs[0].close()
"""


def test_rollouts_are_those_of_the_environments_as_they_come(lab):
    """Joints looked up once, in other processes: equal to the last bit to gymnasium-robotics' own."""
    lab.ok("docker/dev.sh", "python", "-c", PLAIN)


def descendants(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in descendants(child)]


@pytest.fixture
def training(lab: Clone, tmp_path: Path):
    """A training under way, the checkpoint it is to write, and its processes: one for each environment is the last."""
    out = tmp_path / "ppo.zip"
    process = lab.start(*LAB, "checks", "ppo-smoke", "--total-steps", "40000", "--out", str(out))
    next(line for line in process.stderr if line.startswith("train: "))
    yield process, out, descendants(process.pid)
    process.kill()


@injects("train.process-ended", "a simulating process ended by SIGKILL; an environment that raises")
def test_process_that_is_killed_is_named(training):
    process, out, below = training
    os.kill(below[-1], signal.SIGKILL)
    out_, err = process.communicate(timeout=60)
    run = subprocess.CompletedProcess(process.args, process.returncode, out_, err)
    assert_one_clear_error(run, "train", "train.process-ended")
    assert "one was ended by signal 9" in err
    assert not out.exists()


@pytest.mark.parametrize(
    ("method", "found"),
    [("step", "one ended with status 1, its message is above"), ("__init__", "one ended as it started")],
)
def test_environment_that_raises_is_named(lab, tmp_path, method, found):
    """Its traceback is the process's own and the only thing that knows the line."""
    fault = f"""
        from checks import fetch
        class Faulty(fetch.gymnasium.Wrapper):
            def {method}(self, *arguments):
                raise ValueError("no such joint")
        inner = fetch.gymnasium.spec(fetch.SMOKE_ENV)
        fetch.SMOKE_ENV = lambda **options: Faulty(inner.make(**options))
    """
    run = with_fault(lab, "train", fault, *SHORT, "--out", str(tmp_path / "ppo.zip"))
    assert run.returncode == 1
    assert run.stderr.index("ValueError: no such joint") < run.stderr.index(f"found: {found}")
    assert "[train.process-ended]\nfix: " in run.stderr


@injects("train.temporary-folder", "TMPDIR with a name of 100 letters", "make check-train TMPDIR=/tmp")
def test_temporary_folder_too_long_for_a_socket_is_named(lab, tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    command = (*LAB, "checks", "ppo-smoke", *SHORT, "--out", str(tmp_path / "ppo.zip"))
    run = lab.run(*command, TMPDIR=str(folder))
    assert_one_clear_error(run, "train", "train.temporary-folder")
    assert remedy(run) == "make check-train TMPDIR=/tmp"
    lab.ok(*command, TMPDIR="/tmp")


def test_processes_end_with_a_training_that_is_killed(training):
    process, _, below = training
    assert len(below) >= 8
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while alive := [pid for pid in below if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
