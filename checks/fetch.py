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


class NamesLookedUpOnce:
    """gymnasium-robotics' mujoco_utils, but for what they look up by name at every step: found here once.

    A quarter of a Fetch step goes into 30 joints, and each look-up lets go of Python's lock, for which threads then
    queue; the values are the same to the last bit.
    """

    def __init__(self, utils, model: mujoco.MjModel):
        self._utils = utils
        joints = [model.joint(index) for index in range(model.njnt)]
        robot = [joint for joint in joints if joint.name.startswith("robot")]
        if any(len(joint.qposadr) != 1 or len(joint.dofadr) != 1 for joint in robot):
            raise ValueError("a joint of the robot has more than one degree of freedom")
        self._qpos = np.concatenate([joint.qposadr for joint in robot])
        self._qvel = np.concatenate([joint.dofadr for joint in robot])
        self._qpos_of = {joint.name: joint.qposadr[0] for joint in robot}
        self._site = {model.site(index).name: index for index in range(model.nsite)}

    def __getattr__(self, name: str):
        return getattr(self._utils, name)

    def robot_get_obs(self, model, data, joint_names) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions (rad, m) and velocities of the robot's joints, one each."""
        return data.qpos[self._qpos], data.qvel[self._qvel]

    def set_joint_qpos(self, model, data, name, value) -> None:
        """Set the position (rad, m) of a joint."""
        if name in self._qpos_of:
            data.qpos[self._qpos_of[name]] = value
        else:
            self._utils.set_joint_qpos(model, data, name, value)

    def get_site_xpos(self, model, data, name) -> np.ndarray:
        """Return where a site is, shape (3,), metres: a view."""
        return data.site_xpos[self._site[name]]

    def get_site_xvelp(self, model, data, name) -> np.ndarray:
        """Return the velocity of a site, shape (3,), m/s."""
        return self._utils.get_site_jacp(model, data, self._site[name]) @ data.qvel


def faster(env: gymnasium.Env) -> gymnasium.Env:
    """Return the environment, which from now on looks up no name twice."""
    fetch = env.unwrapped
    fetch._utils = NamesLookedUpOnce(fetch._utils, fetch.model)
    return env
