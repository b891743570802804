"""check_train sees a loop that breaks, a policy that does not learn, and a checkpoint that is not what was trained."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from pathlib import Path

import pytest
from conftest import in_namespace
from verdicts import LAB, SHORT, assert_one_clear_error, evidence, injects, remedy, with_fault

from checks.train_errors import meaning


def test_checkpoint_is_trained_for_exactly_the_steps_asked_for(lab, tmp_path):
    out = tmp_path / "short.zip"
    run = lab.ok(*LAB, "checks", "ppo-smoke", "--n-envs", "4", "--total-steps", "2000", "--out", str(out))
    assert run.stdout.startswith("ok        train    PPO 2,000 steps on cpu · ")
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("data"))["num_timesteps"] == 2000
    record = evidence(lab, "train")["evidence"]
    assert record["replay"] == {"largest_action_difference": 0.0, "timesteps": 2000}
    assert list(Path(record["tensorboard"]).glob("events.out.tfevents.*"))
    assert list(tmp_path.iterdir()) == [out]


def test_same_seed_trains_the_same_policy(lab, tmp_path):
    curves = []
    for _ in range(2):
        lab.ok(*LAB, "checks", "ppo-smoke", "--total-steps", "2000", "--out", str(tmp_path / "short.zip"))
        record = evidence(lab, "train")["evidence"]
        curves.append((record["learning_curve"], record["largest_parameter_change"], record["mean_return"]))
    assert curves[0] == curves[1]


# Faults, each in a training that is the real one but for it.

LEARNING_RATE = "\n    check.LEARNING_RATE = {}"
PPO = """
    import torch, stable_baselines3
    class PPO(stable_baselines3.PPO):
        {}
    stable_baselines3.PPO = PPO
"""
ENVIRONMENT = """
    from checks import fetch
    class Step(fetch.gymnasium.Wrapper):
        def step(self, action):
            {}
            return self.env.step(action)
    inner = fetch.gymnasium.spec(fetch.SMOKE_ENV)
    fetch.SMOKE_ENV = lambda **options: Step(inner.make(**options))
"""
AFTER_INIT = "def __init__(self, *a, **k): super().__init__(*a, **k); {}"


@injects("train.shape", "a policy made for observations of another length")
@injects("train.dtype", "a policy in double precision under observations in single")
@injects("train.device-mixed", "a policy with one layer on another device")
@injects("train.not-finite", "a learning rate that drives the parameters to infinity")
@injects("train.crashed", "an update that raises after 160 steps")
@injects("train.not-moved", "a learning rate of 0")
@injects("train.steps", "a loop that stops after its first rollout")
@injects("train.leak", "an environment that keeps 1 MiB of every step")
@injects("train.not-loadable", "a checkpoint cut short")
@injects("train.checkpoint-differs", "a checkpoint of other parameters than those trained")
@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        (
            "train.shape",
            PPO.format(AFTER_INIT.format("self.policy.mlp_extractor.policy_net[0] = torch.nn.Linear(17, 64)")),
        ),
        ("train.dtype", PPO.format(AFTER_INIT.format("self.policy.mlp_extractor.double()"))),
        ("train.device-mixed", PPO.format(AFTER_INIT.format("self.policy.value_net.to('meta')"))),
        ("train.not-finite", LEARNING_RATE.format(1e20)),
        (
            "train.crashed",
            PPO.format(
                "def train(self):\n            if self.num_timesteps == 160: raise RuntimeError('gone')\n"
                "            super().train()"
            ),
        ),
        ("train.not-moved", LEARNING_RATE.format(0.0)),
        (
            "train.steps",
            PPO.format("def learn(self, total, **k): return super().learn(self.n_steps * self.n_envs, **k)"),
        ),
        (
            "train.leak",
            ENVIRONMENT.format("fetch.kept = [*getattr(fetch, 'kept', []), b'x' * 2**20]"),
        ),
        (
            "train.not-loadable",
            PPO.format("def save(self, path): super().save(path); path.write_bytes(path.read_bytes()[:5000])"),
        ),
        (
            "train.checkpoint-differs",
            PPO.format(
                "def save(self, path):\n            bias = self.policy.action_net.bias.data\n"
                "            bias += 1e-6; super().save(path); bias -= 1e-6"
            ),
        ),
    ],
    ids=lambda value: value if value.startswith("train.") else "",
)
def test_fault_in_the_loop_is_named(lab, tmp_path, cause, fault):
    out = tmp_path / "ppo.zip"
    out.write_bytes(b"an earlier, good checkpoint")
    fault = "    check.ROLLOUT_STEPS, check.EPISODES = 40, 1  # five rollouts" + fault
    run = with_fault(lab, "train", fault, *SHORT, "--out", str(out))
    assert_one_clear_error(run, "train", cause)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"an earlier, good checkpoint", [out])
    if cause in ("train.shape", "train.crashed"):
        assert "Traceback" in evidence(lab, "train")["traceback"]
    if cause == "train.crashed":
        assert "after 160 steps: RuntimeError: gone" in run.stderr


@injects("train.device", "EXPECT=gpu with torch's CPU wheel, which trains on the CPU without a word", "EXPECT=cpu")
def test_training_elsewhere_than_asked(lab, tmp_path):
    command = (*SHORT, "--out", str(tmp_path / "ppo.zip"))
    run = with_fault(lab, "train", "check.EPISODES = 1", *command, EXPECT="gpu")
    assert_one_clear_error(run, "train", "train.device")
    assert remedy(run) == "make check-gpu"
    assert run.stderr.rstrip().endswith("EXPECT=cpu")
    assert with_fault(lab, "train", "check.EPISODES = 1", *command, EXPECT="cpu").stdout.startswith("ok ")


@injects("train.out-of-memory", "recorded words of torch")
def test_memory_of_the_gpu_is_told_from_other_causes():
    said = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.19 GiB"
    finding = meaning(RuntimeError(said), 8).finding
    assert (finding.cause, "after 8 steps" in finding.found) == ("train.out-of-memory", True)


@injects("train.not-learning", "a learning rate of 1e-7")
def test_training_that_does_not_learn_is_a_failure(lab, tmp_path):
    """All of PPO runs, and the learning rate is nothing: only the comparison with the untrained policy tells."""
    fault = LEARNING_RATE.format(1e-7) + "\n"
    fault += "    check.EPISODES, check.LEARNS_WITHIN = 2, 2000  # learning takes 50,000, not learning shows sooner"
    run = with_fault(lab, "train", fault, "--total-steps", "2000", "--out", str(tmp_path / "lazy.zip"))
    assert_one_clear_error(run, "train", "train.not-learning")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_training_leaves_the_earlier_checkpoint(lab, tmp_path, ending):
    out = tmp_path / "ppo.zip"
    out.write_bytes(b"an earlier, good checkpoint")
    process = lab.start(*LAB, "checks", "ppo-smoke", "--total-steps", "40000", "--out", str(out))
    assert "train: 2,000 of 40,000" in next(line for line in process.stderr if line.startswith("train: "))
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
    script = f'"$@"; status=$?; cat "{tmp_path}/ppo.zip"; ls -A "{tmp_path}"; exit $status'
    command = (*LAB, "checks", "ppo-smoke", *SHORT, "--out", f"{tmp_path}/ppo.zip")
    run = lab.run(*in_namespace(mount, "bash", "-c", script, "bash", *command))
    assert_one_clear_error(run, "train", "output.unwritable")
    assert "No space left on device" in run.stderr
    assert run.stdout == "good\nppo.zip\n"
