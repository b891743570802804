"""The environments in processes: as Stable-Baselines3's own in all they answer, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Clone
from verdicts import LAB, assert_one_clear_error, injects

PROGRAM = """\
import gymnasium, numpy as np, pytest
from checks import fetch
from checks.process_vec_env import ProcessVecEnv, smoke_environments
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
"""


@pytest.fixture
def program(lab: Clone):
    """A way to run a program that has the names above."""
    path = lab.path / "program.py"

    def run(text: str):
        path.write_text(PROGRAM + text)
        return lab.run("docker/dev.sh", "python", path.name)

    yield run
    path.unlink()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_rollouts_and_answers_are_those_of_one_dummy_vec_env(program):
    """Three environments: one of the processes has two, where there are two cores."""
    run = program(
        "envs = [smoke_environments(3, seed=1), make_vec_env(fetch.SMOKE_ENV, 3, seed=1)]\n"
        "assert [type(env) for env in envs] == [ProcessVecEnv, DummyVecEnv] and envs[0].pids\n"
        "first, second = [env.reset() for env in envs]\n"
        "assert all(np.array_equal(first[key], second[key]) for key in first)\n"
        "actions = np.random.default_rng(0).uniform(-1, 1, (120, 3, 4)).astype(np.float32)\n"
        "for action in actions:\n"
        "    (o1, r1, d1, i1), (o2, r2, d2, i2) = [env.step(action) for env in envs]\n"
        "    assert all(np.array_equal(o1[k], o2[k]) for k in o1) and (r1 == r2).all() and (d1 == d2).all()\n"
        "    assert [set(i) for i in i1] == [set(i) for i in i2]\n"
        "    assert [i['TimeLimit.truncated'] for i in i1] == [i['TimeLimit.truncated'] for i in i2]\n"
        "assert d1.dtype == d2.dtype and r1.dtype == r2.dtype\n"
        "for env in envs:\n"
        "    env.set_attr('label', 'third', indices=2)\n"
        "    assert env.get_attr('label', indices=[2]) == ['third']\n"
        "    assert env.env_is_wrapped(Monitor) == [True] * 3\n"
        "    with pytest.raises(AttributeError): env.get_attr('label', indices=0)\n"
        "assert envs[0].get_attr('render_mode') == envs[1].get_attr('render_mode')\n"
        "lengths = [env.env_method('get_episode_lengths', indices=[0, 2]) for env in envs]\n"
        "assert lengths[0] == lengths[1] == [[50, 50]] * 2\n"
        "[env.close() for env in (*envs, *envs)]\n"
    )
    assert run.returncode == 0, run.stderr


def test_exception_of_an_environment_is_raised_with_its_traceback(program):
    run = program(
        "class Bad(gymnasium.Wrapper):\n"
        "    def step(self, action): raise ValueError('bad action')\n"
        "env = make_vec_env(fetch.SMOKE_ENV, 2, wrapper_class=Bad, vec_env_cls=ProcessVecEnv)\n"
        "env.reset()\n"
        "with pytest.raises(ValueError, match='bad action') as raised: env.step(np.zeros((2, 4), np.float32))\n"
        "assert 'in step' in ''.join(raised.value.__notes__)\n"
        "env.close()\n"
        "with pytest.raises(gymnasium.error.NameNotFound): make_vec_env('NoSuch-v0', 2, vec_env_cls=ProcessVecEnv)\n"
    )
    assert run.returncode == 0, run.stderr


def test_environments_closed_in_any_order_end(program):
    """The later one's processes hold the ends of the earlier one's pipes: their fork copied them."""
    run = program(
        "one, two = [make_vec_env(fetch.SMOKE_ENV, 2, vec_env_cls=ProcessVecEnv) for _ in range(2)]\n"
        "one.close()\n"
        "two.reset()\n"
        "two.close()\n"
    )
    assert run.returncode == 0, run.stderr


@pytest.fixture
def training(lab: Clone, tmp_path: Path):
    """A training under way, and the checkpoint it is to write."""
    out = tmp_path / "ppo.zip"
    process = lab.start(*LAB, "checks", "ppo-smoke", "--total-steps", "40000", "--out", str(out))
    next(line for line in process.stderr if line.startswith("train: "))
    yield process, out
    process.kill()


@injects("train.process-ended", "a simulating process ended by SIGKILL")
def test_process_that_is_killed_is_named(training, lab):
    process, out = training
    os.kill(children(process.pid)[1], signal.SIGKILL)  # the first is to replay the checkpoint
    out_, err = process.communicate(timeout=60)
    run = subprocess.CompletedProcess(process.args, process.returncode, out_, err)
    assert_one_clear_error(run, "train", "train.process-ended")
    assert "was ended by signal 9" in err
    assert not out.exists()


def test_processes_end_with_a_training_that_is_killed(training):
    process, _ = training
    left = children(process.pid)
    assert left
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while alive := [pid for pid in left if Path(f"/proc/{pid}/exe").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)
