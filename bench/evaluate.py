"""The mean return of checkpoints, each over the same episodes; runs in the lab.

    python -m bench.evaluate CHECKPOINT …

Prints them as JSON by checkpoint. Return: the sum over 50 steps of minus the distance to the goal, in metres.
"""

from __future__ import annotations

import json
import os
import sys

import numpy as np

EPISODES = 100
SEED = 20_000  # of the first episode; neither training nor check-train's own evaluation uses these


def main(paths: list[str]) -> None:
    """Evaluate, print."""
    os.environ["MUJOCO_GL"] = "disable"
    from stable_baselines3 import PPO

    from checks.process_vec_env import smoke_environments

    env = smoke_environments(EPISODES, SEED)
    returns = {}
    for path in paths:
        model = PPO.load(path, device="cpu")
        env.seed(SEED)
        observation, total, done = env.reset(), np.zeros(EPISODES), np.zeros(EPISODES, bool)
        while not done.all():
            observation, reward, ended, _ = env.step(model.predict(observation, deterministic=True)[0])
            total += np.where(done, 0, reward)
            done |= ended
        returns[path] = float(total.mean())
    env.close()
    print(json.dumps(returns))


if __name__ == "__main__":
    main(sys.argv[1:])
