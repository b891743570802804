"""Does PPO train, save and load?

Trains PPO on FetchReachDense with parallel environments for exactly the number of steps asked for, on the
GPU where one is expected, and saves a checkpoint. Passes when all steps were done, every parameter is
finite and has moved, memory did not grow, and the checkpoint, loaded in a fresh process, was trained for
those steps and acts as the policy in memory does. After 50,000 steps and more it must also have learned:
its return beats that of random actions and that of the policy before training.

An earlier ppo_smoke.zip stays until a new one has passed. With other settings than the protocol's
(--n-envs, --total-steps, --seed, --out) it is a trial: its checkpoint is ppo_trial.zip in PROOF, and its
evidence train-trial.json. Curves: tensorboard --logdir proof/tensorboard
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from checks import evidence as kept
from checks import train_errors, train_watch, train_workers
from checks.arguments import output_file, parser, positive
from checks.causes import Failure
from checks.expectation import expected
from checks.output import product, proof, shown, written_by_rename
from checks.verdict import Evidence, Verdict, conduct

N_ENVS = 8
TOTAL_STEPS = 50_000
SEED = 0
ROLLOUT_STEPS = 250  # of each environment between two updates, or the nearest number that divides the whole
BATCH_SIZE = 1000  # likewise; larger than the library's 64, and so is the learning rate: fewer updates teach as much
LEARNING_RATE = 1e-3
OPTIMIZER = {"eps": 1e-5, "fused": True}  # Adam: eps as the library's PPO has it; all parameters in one call
LEARNS_WITHIN = 50_000  # steps; fewer prove that the loop runs, and nothing about learning
LEARNED = 1.0  # by which the mean return must then have risen; 5.3 measured: from -6.1 to -0.8 (random: -9.3)
WARM_UP = 2  # rollouts, in which buffers are allocated and TensorBoard opens its file
LEAK = 32  # MiB by which resident memory may then grow; 0 measured
EPISODES = 16  # of 50 steps each, for each of the three policies compared
EVALUATION_SEED = 10_000
REPLAYED = 64  # observations on which the reloaded policy must act the same
# Largest difference of an action in [-1, 1]: the CPU that replays and a GPU that trained round differently.
ACTION_TOLERANCE = {"cpu": 0.0, "cuda": 1e-4}


def nearest_divisor(number: int, target: int, least: int = 1) -> int:
    """Return the divisor of `number`, not under `least`, whose ratio to `target` is nearest to 1."""
    divisors = (divisor for divisor in range(least, number + 1) if number % divisor == 0)
    return min(divisors, key=lambda divisor: abs(math.log(divisor / target)))


@contextmanager
def environments(n_envs: int, seed: int, stepped_by: str) -> Iterator:
    """Make the environments to train and to evaluate in. Raises Failure where one cannot be, or its process ends."""
    env = None
    try:
        train_watch.alive("the making of the environments")
        try:
            env = train_workers.smoke_environments(n_envs, seed, stepped_by)
        except train_errors.raised() as error:
            raise train_errors.meaning(error, 0) from error
        yield env
        train_watch.alive("the closing of the environments")
        env.close()
    except (EOFError, OSError) as reason:
        if train_errors.refused(reason):
            raise train_errors.meaning(reason, 0) from reason
        if not isinstance(reason, EOFError | ConnectionError):
            raise
        how = train_workers.how_one_ended(env.processes) if env else "ended as it started, its message is above"
        raise Failure(
            "train.process-ended", expected="the processes that simulate to last", found=f"one {how}"
        ) from reason
    finally:
        train_workers.end_all()


def mean_return(policy, env) -> float:
    """Return the mean return over EPISODES, whose seeds are the same for every policy."""
    from stable_baselines3.common.evaluation import evaluate_policy

    train_watch.alive("an evaluation")
    env.seed(EVALUATION_SEED)
    return float(evaluate_policy(policy, env, EPISODES)[0])


def train(arguments: argparse.Namespace, device: str, env, evidence: Evidence):
    """Train in `env` and return the model. Raises Failure."""
    import torch
    from stable_baselines3 import PPO

    from checks.train_acting import acting_on_cpu
    from checks.train_log import TrainingLog

    torch.set_num_threads(1)  # the networks are small: more threads are slower, and round differently
    # PPO normalises advantages, for which a rollout and a batch must have two steps.
    least = 2 if arguments.n_envs == 1 else 1
    n_steps = nearest_divisor(arguments.total_steps // arguments.n_envs, ROLLOUT_STEPS, least)
    batch_size = nearest_divisor(n_steps * arguments.n_envs, BATCH_SIZE, least=2)
    log = TrainingLog(arguments.total_steps)
    try:
        model = (acting_on_cpu(PPO) if device == "cuda" else PPO)(
            "MultiInputPolicy",
            env,
            n_steps=n_steps,
            batch_size=batch_size,
            learning_rate=LEARNING_RATE,
            policy_kwargs={"optimizer_kwargs": OPTIMIZER},
            seed=arguments.seed,
            device=device,
            tensorboard_log=str(proof() / "tensorboard"),
        )
        if (used := model.device.type) != device:
            raise Failure("train.device", expected=f"training on {device}", found=f"training on {used}")
        untrained = mean_return(model, env)
        env.seed(arguments.seed)
        before = {name: value.detach().clone() for name, value in model.policy.named_parameters()}
        started = time.perf_counter()
        model.learn(arguments.total_steps, callback=log, tb_log_name="ppo_smoke")
        seconds = time.perf_counter() - started
    except train_errors.raised() as error:
        raise train_errors.meaning(error, log.num_timesteps) from error
    after = dict(model.policy.named_parameters())
    unmoved = [name for name, value in after.items() if torch.equal(before[name], value)]
    infinite = [name for name, value in after.items() if not torch.isfinite(value).all()]
    evidence |= {
        "timesteps": model.num_timesteps,
        "n_envs": arguments.n_envs,
        "n_steps": n_steps,
        "batch_size": batch_size,
        "learning_rate": LEARNING_RATE,
        "device": used,
        "seconds": round(seconds, 2),
        "steps_per_second": round(model.num_timesteps / seconds, 1),
        "learning_curve": log.curve,
        "largest_parameter_change": max((after[name] - before[name]).abs().max().item() for name in before),
        "tensorboard": model.logger.dir,
        "mean_return": {"untrained": untrained, "episodes": EPISODES},
    }
    devices = {value.device.type for value in after.values()}
    growth = log.memory[-1] - log.memory[min(WARM_UP, len(log.memory) - 1)]
    evidence["memory_mib"] = log.memory
    for wrong, cause, expectation, found in (
        (devices != {device}, "train.device", f"training on {device}", f"parameters on {', '.join(devices)}"),
        (
            growth > LEAK,
            "train.leak",
            f"resident memory to grow by at most {LEAK} MiB after {WARM_UP} rollouts",
            f"{growth} MiB over {len(log.memory) - 1 - WARM_UP} rollouts",
        ),
        (infinite, "train.not-finite", "finite parameters", f"NaN or infinity in {', '.join(infinite)}"),
        (unmoved, "train.not-moved", "every parameter to move", f"unchanged: {', '.join(unmoved)}"),
        (
            model.num_timesteps != arguments.total_steps,
            "train.steps",
            f"{arguments.total_steps} steps",
            f"{model.num_timesteps} steps",
        ),
    ):
        if wrong:
            raise Failure(cause, expected=expectation, found=found)
    return model


def replay(model, checkpoint: Path, device: str, evidence: Evidence) -> None:
    """Load the checkpoint in a fresh process and compare its actions with the model's. Raises Failure."""
    generator = np.random.default_rng(SEED)
    observations = {
        key: generator.uniform(-1, 1, (REPLAYED, *space.shape)).astype(space.dtype)
        for key, space in model.observation_space.spaces.items()
    }
    wanted = f"PPO.load in a fresh process to give the same {REPLAYED} actions"
    fix = f"df -h {checkpoint.parent}; make venv"
    train_watch.alive("the replay of the checkpoint")
    try:
        actions, timesteps = train_workers.replayed(checkpoint, observations)
    except (EOFError, OSError) as reason:
        raise train_errors.meaning(reason, model.num_timesteps) from reason
    except train_workers.NotReplayed as reason:
        if train_errors.cause_of(str(reason)) == "train.limit-reached":
            raise train_errors.meaning(reason, model.num_timesteps) from reason
        raise Failure("train.not-loadable", expected=wanted, found=str(reason), fix=fix) from reason
    difference = float(np.abs(actions - model.predict(observations, deterministic=True)[0]).max())
    evidence["replay"] = {"largest_action_difference": difference, "timesteps": timesteps}
    if not difference <= ACTION_TOLERANCE[device] or timesteps != model.num_timesteps:
        raise Failure(
            "train.checkpoint-differs",
            expected=wanted,
            found=f"actions that differ by up to {difference:.1e}, after {timesteps} timesteps",
            fix=fix,
        )


class RandomPolicy:
    """Actions drawn uniformly from [-1, 1], as a policy that can be evaluated."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.generator = np.random.default_rng(SEED)

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Return actions, float32 of the shape, and no state."""
        return self.generator.uniform(-1, 1, self.shape).astype(np.float32), None


def question(arguments: argparse.Namespace, evidence: Evidence) -> Verdict:
    """Train, save, load, compare."""
    os.environ["MUJOCO_GL"] = "disable"  # training needs no GL, whatever is wrong with it
    device = "cuda" if expected() == "gpu" else "cpu"
    try:
        train_workers.start_server()
    except OSError as reason:
        if train_errors.refused(reason):
            raise train_errors.meaning(reason, 0) from reason
        raise Failure(
            "train.temporary-folder",
            expected="room for a socket in the folder for temporary files",
            found=f"{reason}: {tempfile.gettempdir()}",
        ) from reason
    from checks import train_preload  # noqa: F401  # as the server does meanwhile

    stepped_by, why = (arguments.vec_env, "--vec-env") if arguments.vec_env else train_workers.fastest()
    evidence["vec_env"] = {"stepped_by": stepped_by, "why": why}
    # First, so that an output that cannot be written fails before 50,000 steps are spent.
    with (
        train_watch.watched(),
        written_by_rename(arguments.out) as checkpoint,
        environments(arguments.n_envs, arguments.seed, stepped_by) as env,
    ):
        model = train(arguments, device, env, evidence)
        model.save(checkpoint)
        replay(model, checkpoint, device, evidence)
        trained = mean_return(model, env)
        random = mean_return(RandomPolicy((env.num_envs, *env.action_space.shape)), env)
        evidence["mean_return"] |= {"trained": trained, "random": random}
        bound = max(random, evidence["mean_return"]["untrained"] + LEARNED)
        if arguments.total_steps >= LEARNS_WITHIN and not trained > bound:
            raise Failure(
                "train.not-learning",
                expected=f"a mean return above {bound:.2f}, from {evidence['mean_return']['untrained']:.2f} untrained "
                f"and {random:.2f} at random",
                found=f"{trained:.2f} over {EPISODES} episodes",
            )
        evidence["sha256"] = kept.digest(checkpoint)
    evidence["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    evidence["out"] = shown(arguments.out)
    evidence["learning_proven"] = arguments.total_steps >= LEARNS_WITHIN
    return Verdict(
        "ok",
        (
            f"PPO {model.num_timesteps:,} steps on {evidence['device']}",
            *(() if evidence["learning_proven"] else ("too few to prove learning",)),
            f"{evidence['steps_per_second']:,.0f} steps/s",
            f"return {trained:.1f} (untrained {evidence['mean_return']['untrained']:.1f}, random {random:.1f})",
            f"{evidence['peak_memory_mib']:,} MiB",
            arguments.out.name,
        ),
    )


def main(argv: list[str] | None = None) -> int:
    """Run the check."""
    arguments = parser("train", __doc__)
    arguments.add_argument("--n-envs", type=positive, default=N_ENVS, help="parallel environments (%(default)s)")
    arguments.add_argument(
        "--total-steps",
        type=positive,
        default=os.environ.get("STEPS") or TOTAL_STEPS,
        help="a multiple of --n-envs (STEPS, or %(default)s)",
    )
    arguments.add_argument(
        "--vec-env",
        choices=["threads", "processes"],
        help=f"what steps the environments (processes from {train_workers.PROCESSES_FROM} cores on, else threads)",
    )
    arguments.add_argument("--seed", type=int, default=SEED, help="of networks, environments and actions (%(default)s)")
    arguments.add_argument("--out", type=output_file(".zip"), help="the checkpoint (ppo_smoke.zip)")
    chosen = arguments.parse_args(argv)
    if chosen.total_steps % chosen.n_envs or chosen.total_steps < 2:
        arguments.error(f"--total-steps {chosen.total_steps} is not a multiple, 2 or more, of --n-envs {chosen.n_envs}")
    settings = (chosen.n_envs, chosen.total_steps, chosen.seed)
    trial = settings != (N_ENVS, TOTAL_STEPS, SEED) or chosen.out not in (None, product("train"))
    chosen.out = chosen.out or (proof() / "ppo_trial.zip" if trial else product("train"))
    return conduct("train", question, chosen, trial)


if __name__ == "__main__":
    sys.exit(main())
