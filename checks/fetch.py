"""The Fetch environments, as the checks make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import gymnasium
import mujoco
import numpy as np

# gymnasium-robotics 1.4.2 prints advice about its Adroit environments whenever it is imported.
with redirect_stderr(StringIO()):
    import gymnasium_robotics

gymnasium.register_envs(gymnasium_robotics)

SMOKE_ENV = "FetchReachDense-v4"  # the environment that is rendered and trained
TASKS = ("Reach", "Push", "Slide", "PickAndPlace")
ENV_IDS = tuple(f"Fetch{task}{reward}-v4" for task in TASKS for reward in ("", "Dense"))


def registered() -> list[str]:
    """Return the ids of the registered Fetch environments that can be made.

    Those built on mujoco_py (Fetch*-v1) are registered too, but mujoco_py itself is gone.
    """
    return sorted(
        id
        for id, spec in gymnasium.registry.items()
        if id.startswith("Fetch") and "MujocoPy" not in str(spec.entry_point)
    )


@contextmanager
def made(env_id: str, **options) -> Iterator[gymnasium.Env]:
    """Make an environment and close it again, which frees its GL context too."""
    env = gymnasium.make(env_id, **options)
    try:
        yield env
    finally:
        env.close()


class JointsLookedUpOnce:
    """gymnasium-robotics' mujoco_utils, but for where the robot's joints are: found here once, there at every step.

    A quarter of a Fetch step goes into those 30 look-ups by name; the values are the same to the last bit.
    """

    def __init__(self, utils, model: mujoco.MjModel):
        self._utils = utils
        joints = [joint for joint in map(model.joint, range(model.njnt)) if joint.name.startswith("robot")]
        if any(len(joint.qposadr) != 1 or len(joint.dofadr) != 1 for joint in joints):
            raise ValueError("a joint of the robot has more than one degree of freedom")
        self._qpos = np.concatenate([joint.qposadr for joint in joints])
        self._qvel = np.concatenate([joint.dofadr for joint in joints])

    def __getattr__(self, name: str):
        return getattr(self._utils, name)

    def robot_get_obs(self, model, data, joint_names) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions (rad, m) and velocities of the robot's joints, one each."""
        return data.qpos[self._qpos], data.qvel[self._qvel]


def faster(env: gymnasium.Env) -> gymnasium.Env:
    """Return the environment, which from now on looks up its joints no more."""
    fetch = env.unwrapped
    fetch._utils = JointsLookedUpOnce(fetch._utils, fetch.model)
    return env
