"""The mean return of checkpoints, each over the same episodes; runs in the lab.

    python -m bench.evaluate CHECKPOINT …

Prints them as JSON by checkpoint. Return: the sum over 50 steps of minus the distance to the goal, in metres.
"""

from __future__ import annotations

import json
import os
import sys

N_ENVS = 8
EPISODES = 100
SEED = 20_000  # of the first environment; neither training nor check-train's own evaluation uses these


def main(paths: list[str]) -> None:
    """Evaluate, print."""
    os.environ["MUJOCO_GL"] = "disable"
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    from checks import train_workers

    env = train_workers.smoke_environments(N_ENVS, SEED)
    returns = {}
    for path in paths:
        env.seed(SEED)
        returns[path] = float(evaluate_policy(PPO.load(path, device="cpu"), env, EPISODES)[0])
    env.close()
    print(json.dumps(returns))


if __name__ == "__main__":
    main(sys.argv[1:])
