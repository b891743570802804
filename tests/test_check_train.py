"""check_train sees a loop that breaks, a policy that does not learn, and a checkpoint that is not what was trained."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from pathlib import Path
from typing import NamedTuple

import gymnasium
import pytest
import stable_baselines3
import torch
from conftest import in_namespace
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from verdicts import LAB, SHORT, ask, assert_one_clear_error, each_injected, evidence, injects, remedy

from checks import check_train, fetch
from checks.train_acting import acting_on_cpu
from checks.train_errors import meaning

STEPS = 1000  # two rollouts of two environments
TRAINING = ("--n-envs", "2", "--total-steps", str(STEPS), "--out")


class Trained(NamedTuple):
    """A short training in the lab: what it said and wrote down, and its checkpoint."""

    stdout: str
    evidence: dict
    out: Path


@pytest.fixture(scope="module")
def trained(lab, tmp_path_factory) -> Trained:
    out = tmp_path_factory.mktemp("trained") / "short.zip"
    run = lab.ok(*LAB, "checks", "ppo-smoke", "--vec-env", "processes", *TRAINING, str(out))
    return Trained(run.stdout, evidence(lab, "train-trial")["evidence"], out)


def test_checkpoint_is_trained_for_exactly_the_steps_asked_for(trained):
    assert trained.stdout.startswith(f"ok        train    PPO {STEPS:,} steps on cpu · ")
    with zipfile.ZipFile(trained.out) as archive:
        assert json.loads(archive.read("data"))["num_timesteps"] == STEPS
    assert trained.evidence["replay"] == {"largest_action_difference": 0.0, "timesteps": STEPS}
    assert list(Path(trained.evidence["tensorboard"]).glob("events.out.tfevents.*"))
    assert list(trained.out.parent.iterdir()) == [trained.out]


def test_same_seed_trains_the_same_policy(trained, tmp_path):
    """In another process, which may have trained before, and with threads instead of processes."""
    again = ask(check_train, "--vec-env", "threads", *TRAINING, str(tmp_path / "again.zip")).record["evidence"]
    assert [each["vec_env"]["stepped_by"] for each in (trained.evidence, again)] == ["processes", "threads"]
    for result in ("learning_curve", "largest_parameter_change", "mean_return"):
        assert again[result] == trained.evidence[result], result


def test_acting_on_a_copy_of_the_policy_changes_no_digit(tmp_path):
    """Both on the CPU here, where a copy must do as the policy itself does; it is neither left behind nor saved."""
    trained = []
    for algorithm in (PPO, acting_on_cpu(PPO)):
        env = make_vec_env(fetch.SMOKE_ENV, 2, seed=0)
        model = algorithm("MultiInputPolicy", env, n_steps=20, batch_size=20, seed=0, device="cpu")
        policy = model.policy
        model.learn(80)
        assert model.policy is policy
        model.save(tmp_path / "ppo.zip")
        trained.append(PPO.load(tmp_path / "ppo.zip", device="cpu"))
    plain, acting = (vars(model) for model in trained)
    assert plain.keys() == acting.keys()
    plain, acting = (model.policy.state_dict() for model in trained)
    assert all(torch.equal(plain[name], acting[name]) for name in plain)


# Faults: one attribute each, replaced in a training that is the real one but for it.


class OtherObservations(PPO):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.policy.mlp_extractor.policy_net[0] = torch.nn.Linear(17, 64)


class DoublePrecision(PPO):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.policy.mlp_extractor.double()


class LayerElsewhere(PPO):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.policy.value_net.to("meta")


class SecondUpdateRaises(PPO):
    def train(self):
        if self.num_timesteps > self.n_steps * self.n_envs:
            raise RuntimeError("gone")
        super().train()


class OneRollout(PPO):
    def learn(self, total_timesteps, **options):
        return super().learn(self.n_steps * self.n_envs, **options)


class CheckpointCutShort(PPO):
    def save(self, path):
        super().save(path)
        path.write_bytes(path.read_bytes()[:5000])


class CheckpointOfOthers(PPO):
    def save(self, path):
        bias = self.policy.action_net.bias.data
        bias += 1e-6
        super().save(path)
        bias -= 1e-6


def leaking_environment():
    """Return the maker of an environment that keeps 1 MiB of every step."""
    make = gymnasium.spec(fetch.SMOKE_ENV).make

    class Leaking(gymnasium.Wrapper):  # defined here, it reaches the process that simulates with all that it is
        def __init__(self, env):
            super().__init__(env)
            self.kept = []

        def step(self, action):
            self.kept.append(b"x" * 2**20)
            return self.env.step(action)

    return lambda **options: Leaking(make(**options))


@pytest.fixture
def brief(monkeypatch) -> int:
    """Trainings of five rollouts, judged by one episode; gives the steps of a rollout."""
    monkeypatch.setattr(check_train, "ROLLOUT_STEPS", 40)
    monkeypatch.setattr(check_train, "EPISODES", 1)
    return 2 * check_train.ROLLOUT_STEPS  # SHORT has two environments


def agent(fault: type[PPO]) -> tuple:
    return stable_baselines3, "PPO", fault


def learning_rate(rate: float) -> tuple:
    return check_train, "LEARNING_RATE", rate


@each_injected
@injects("train.shape", "a policy made for observations of another length", fault=agent(OtherObservations))
@injects("train.dtype", "a policy in double precision under observations in single", fault=agent(DoublePrecision))
@injects("train.device-mixed", "a policy with one layer on another device", fault=agent(LayerElsewhere))
@injects("train.not-finite", "a learning rate that drives the parameters to infinity", fault=learning_rate(1e20))
@injects("train.crashed", "an update that raises after 160 steps", fault=agent(SecondUpdateRaises))
@injects("train.not-moved", "a learning rate of 0", fault=learning_rate(0.0))
@injects("train.steps", "a loop that stops after its first rollout", fault=agent(OneRollout))
@injects(
    "train.leak", "an environment that keeps 1 MiB of every step", fault=(fetch, "SMOKE_ENV", leaking_environment())
)
@injects("train.not-loadable", "a checkpoint cut short", fault=agent(CheckpointCutShort))
@injects(
    "train.checkpoint-differs",
    "a checkpoint of other parameters than those trained",
    fault=agent(CheckpointOfOthers),
)
def test_fault_in_the_loop_is_named(brief, monkeypatch, tmp_path, cause, fault):
    out = tmp_path / "ppo.zip"
    out.write_bytes(b"an earlier, good checkpoint")
    monkeypatch.setattr(*fault)
    run = ask(check_train, *SHORT, "--out", str(out))
    assert_one_clear_error(run, "train", cause)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"an earlier, good checkpoint", [out])
    if fault in (agent(OtherObservations), agent(SecondUpdateRaises)):
        assert "Traceback" in run.record["traceback"]
    if fault == agent(SecondUpdateRaises):
        assert f"after {2 * brief} steps: RuntimeError: gone" in run.stderr


@injects("train.device", "EXPECT=gpu with torch's CPU wheel, which trains on the CPU without a word", "EXPECT=cpu")
def test_training_elsewhere_than_asked(brief, tmp_path):
    command = (*SHORT, "--out", str(tmp_path / "ppo.zip"))
    run = ask(check_train, *command, EXPECT="gpu")
    assert_one_clear_error(run, "train", "train.device")
    assert remedy(run) == "make check-gpu"
    assert run.stderr.rstrip().endswith("EXPECT=cpu")
    assert ask(check_train, *command, EXPECT="cpu").stdout.startswith("ok ")


@injects("train.out-of-memory", "recorded words of torch")
def test_memory_of_the_gpu_is_told_from_other_causes():
    said = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.19 GiB"
    finding = meaning(RuntimeError(said), 8).finding
    assert (finding.cause, "after 8 steps" in finding.found) == ("train.out-of-memory", True)


@injects("train.not-learning", "a learning rate of 1e-7")
def test_training_that_does_not_learn_is_a_failure(brief, monkeypatch, tmp_path):
    """All of PPO runs, and the learning rate is nothing: only the comparison with the untrained policy tells."""
    monkeypatch.setattr(*learning_rate(1e-7))
    monkeypatch.setattr(check_train, "LEARNS_WITHIN", 400)  # learning takes 50,000, not learning shows sooner
    run = ask(check_train, *SHORT, "--out", str(tmp_path / "lazy.zip"))
    assert_one_clear_error(run, "train", "train.not-learning")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stepped_by", ["threads", "processes"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_training_leaves_the_earlier_checkpoint(lab, tmp_path, ending, stepped_by):
    out = tmp_path / "ppo.zip"
    out.write_bytes(b"an earlier, good checkpoint")
    n_envs, total = 2, 40_000
    options = ("--n-envs", str(n_envs), "--total-steps", str(total), "--vec-env", stepped_by, "--out", str(out))
    process = lab.start(*LAB, "checks", "ppo-smoke", *options)
    rollout = n_envs * check_train.ROLLOUT_STEPS
    assert f"train: {rollout:,} of {total:,}" in next(line for line in process.stderr if line.startswith("train: "))
    os.killpg(process.pid, ending)
    err = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert out.read_bytes() == b"an earlier, good checkpoint"
    if ending != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == [out]
        assert "Traceback" not in err


@injects("output.unwritable", "a file system of 100 KB; an --out in /proc; a read-only proof/")
def test_full_disk_leaves_the_earlier_checkpoint(lab, tmp_path):
    mount = f"mount -t tmpfs -o size=100k tmpfs '{tmp_path}'; echo good >'{tmp_path}/ppo.zip'"
    command = (*LAB, "checks", "ppo-smoke", *SHORT, "--out", f"{tmp_path}/ppo.zip")
    run = lab.run(*in_namespace(mount, "tests/faults/and_show.sh", str(tmp_path / "ppo.zip"), *command))
    assert_one_clear_error(run, "train", "output.unwritable")
    assert "No space left on device" in run.stderr
    assert run.stdout == "good\nppo.zip\n"
