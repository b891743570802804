"""a: check-train against the plain recipe: wall time of the whole process, steps/s, and what each has learned.

In the lab, `python -m bench.train evaluate CHECKPOINT …` prints as JSON the mean return of each: the sum over 50 steps
of minus the distance to the goal, in metres.
"""

import functools
import json
import os
import sys

from bench.timing import LAB, ROOT, SCRATCH, run

EVIDENCE = f"{SCRATCH}/train-trial.json"  # where PROOF is that folder
N_ENVS = 8
EPISODES = 100
SEED = 20_000  # of the first environment; neither training nor check-train's own evaluation uses these


def turn(number: int) -> dict:
    """Train with both, the turn's number the seed; then compare the two policies on the same episodes."""
    plain, out = plain_training(number), f"{SCRATCH}/lab-{number}.zip"
    train = ["env", f"PROOF={SCRATCH}", "python", "-m", "checks.check_train", "--seed", str(number), "--out", out]
    seconds, _ = run([*LAB, *train], f"a: check-train, seed {number}")
    lab = json.loads((ROOT / EVIDENCE).read_text())["evidence"] | {"s": seconds, "out": out}
    _, said = run([*LAB, "python", "-m", "bench.train", "evaluate", plain["out"], out], "a: evaluating both")
    returns, figures = json.loads(said), {}
    for name, of in (("plain", plain), ("lab", lab)):
        figures |= {f"{name}_s": of["s"], f"{name}_return": returns[of["out"]], f"{name}_device": of["device"]}
        figures |= {f"{name}_steps": of["timesteps"], f"{name}_steps_per_s": of["steps_per_second"]}
    return figures


@functools.cache
def plain_training(seed: int) -> dict:
    """Take the plain recipe's fourth step, once a seed; return what it says, its wall time `s` and checkpoint `out`."""
    out = f"{SCRATCH}/plain-{seed}.zip"
    command = [*LAB, "python", "-m", "bench.plain", "ppo-smoke", out, str(seed)]
    seconds, said = run(command, f"a, f: plain recipe, seed {seed}")
    return json.loads(said) | {"s": seconds, "out": out}


def evaluate(*checkpoints: str) -> None:
    """Print their mean returns, each over the same episodes."""
    os.environ["MUJOCO_GL"] = "disable"
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    from checks import train_workers

    env, returns = train_workers.smoke_environments(N_ENVS, SEED), {}
    for path in checkpoints:
        env.seed(SEED)
        returns[path] = float(evaluate_policy(PPO.load(path, device="cpu"), env, EPISODES)[0])
    env.close()
    print(json.dumps(returns))


if __name__ == "__main__":
    {"evaluate": evaluate}[sys.argv[1]](*sys.argv[2:])
