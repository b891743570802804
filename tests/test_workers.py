"""What is beside a training: it steps the environments as they are, and none of it is waited for or left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Clone
from stable_baselines3.common.env_util import make_vec_env
from verdicts import LAB, SHORT, ask, assert_one_clear_error, injects, remedy

from checks import check_train, cores, fetch, train_log, train_workers
from checks.train_log import TrainingLog

N_ENVS = 2
each_way = pytest.mark.parametrize("stepped_by", ["threads", "processes"])


@each_way
def test_rollouts_are_those_of_the_environments_as_they_come(monkeypatch, stepped_by):
    """Names looked up once, in threads or in other processes: equal to the last bit to gymnasium-robotics' own."""
    monkeypatch.setattr(cores, "allowed", lambda: N_ENVS)
    with (
        closing(train_workers.smoke_environments(N_ENVS, 1, stepped_by)) as ours,
        closing(make_vec_env(fetch.SMOKE_ENV, N_ENVS, seed=1)) as plain,
    ):
        assert len(ours.processes) == (N_ENVS if stepped_by == "processes" else 0)
        steps = [(ours.reset(), plain.reset())]
        for action in np.random.default_rng(0).uniform(-1, 1, (120, N_ENVS, 4)).astype(np.float32):
            (o1, r1, d1, _), (o2, r2, d2, _) = ours.step(action), plain.step(action)
            assert (r1.astype(np.float32) == r2).all()  # DummyVecEnv rounds rewards
            assert (d1 == d2).all()
            steps.append((o1, o2))
    assert all(np.array_equal(o1[key], o2[key]) for o1, o2 in steps for key in o2)


def descendants(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in descendants(child)]


@pytest.mark.parametrize(("count", "stepped_by"), [(1, "threads"), (4, "threads"), (5, "processes"), (16, "processes")])
def test_number_of_cores_decides_what_steps(monkeypatch, count, stepped_by):
    monkeypatch.setattr(cores, "allowed", lambda: count)
    assert train_workers.fastest() == (stepped_by, f"cores: {count}")


@pytest.fixture
def training(lab: Clone, tmp_path: Path, stepped_by: str):
    """A training under way, and the processes beside it."""
    options = ("--n-envs", str(N_ENVS), "--total-steps", "40000", "--out", str(tmp_path / "ppo.zip"))
    options += ("--vec-env", stepped_by)
    process = lab.start(*LAB, "checks", "ppo-smoke", *options)
    next(line for line in process.stderr if line.startswith("train: "))
    yield process, descendants(process.pid)
    process.kill()


@injects("train.process-ended", "a simulating process ended by SIGKILL; an environment that raises in a process")
def test_process_that_is_killed_is_named(monkeypatch, tmp_path):
    class Killed(TrainingLog):
        def _on_training_start(self):
            super()._on_training_start()
            self.training_env.processes[-1].kill()

    monkeypatch.setattr(train_log, "TrainingLog", Killed)
    run = ask(check_train, *SHORT, "--vec-env", "processes", "--out", str(tmp_path / "ppo.zip"))
    assert_one_clear_error(run, "train", "train.process-ended")
    assert "one was ended by signal 9" in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stepped_by", "method", "cause", "found"),
    [
        ("processes", "step", "train.process-ended", "one ended with status 1, its message is above"),
        ("processes", "__init__", "train.process-ended", "one ended as it started"),
        ("threads", "step", "train.crashed", "the loop ended early, after 0 steps: ValueError: no such joint"),
        ("threads", "__init__", "train.crashed", "the loop ended early, after 0 steps: ValueError: no such joint"),
    ],
)
def test_environment_that_raises_is_named(lab, tmp_path, stepped_by, method, cause, found):
    """The line is in the traceback: a process's own, on stderr, or the check's, in its evidence."""
    program = ("docker/dev.sh", "python", "tests/faults/raising_environment.py")
    run = lab.run(*program, method, *SHORT, "--vec-env", stepped_by, "--out", str(tmp_path / "ppo.zip"))
    assert run.returncode == 1
    assert f"found: {found}" in run.stderr
    assert f"[{cause}]\nfix: " in run.stderr
    told = (
        run.stderr.partition("found: ")[0]
        if stepped_by == "processes"
        else json.loads((lab.path / "proof/train-trial.json").read_text())["traceback"]
    )
    assert "ValueError: no such joint" in told


@injects("train.temporary-folder", "TMPDIR with a name of 100 letters", "make check-train TMPDIR=/tmp")
def test_temporary_folder_too_long_for_a_socket_is_named(lab, tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    command = (*LAB, "checks", "ppo-smoke", *SHORT, "--out", str(tmp_path / "ppo.zip"))
    run = lab.run(*command, TMPDIR=str(folder))
    assert_one_clear_error(run, "train", "train.temporary-folder")
    assert remedy(run) == "make check-train TMPDIR=/tmp"
    lab.ok(*command, TMPDIR="/tmp")


@each_way
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_a_training_that_is_ended(training, stepped_by, ending):
    process, below = training
    assert len(below) >= (N_ENVS if stepped_by == "processes" else 1)
    os.kill(process.pid, ending)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while alive := [pid for pid in below if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
