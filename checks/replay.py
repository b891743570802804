"""Load a checkpoint in a fresh process and act: check_train's proof that what was saved is what was trained.

    echo '["checkpoint.zip", "observations.npz", "actions.npy"]' | python -m checks.replay

It is started before there is a checkpoint, because importing torch takes longer than all else here; the paths come
when there is one, and if none come it ends. Reads observations (one array of shape (batch, …) for each key), writes
the deterministic actions, float32 (batch, 4), and prints as JSON the number of timesteps that the checkpoint was
trained for.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from stable_baselines3 import PPO


def main(checkpoint: str, observations: str, actions: str) -> None:
    """Load, act, write."""
    model = PPO.load(checkpoint, device="cpu")
    with np.load(observations) as arrays:
        np.save(actions, model.predict(dict(arrays), deterministic=True)[0])
    print(json.dumps({"timesteps": model.num_timesteps}))


if __name__ == "__main__":
    if line := sys.stdin.readline():
        main(*json.loads(line))
