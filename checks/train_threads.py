"""Environments that are stepped by threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from checks import cores


class ThreadVecEnv(DummyVecEnv):
    """Stable-Baselines3's DummyVecEnv, stepped by a thread for each core: MuJoCo releases Python's lock.

    Gives the digits that SubprocVecEnv gives: DummyVecEnv itself rounds rewards to float32. `processes` is empty.
    """

    processes = ()

    def __init__(self, env_fns: list[Callable[[], gymnasium.Env]]):
        super().__init__(env_fns)
        self.buf_rews = np.zeros(self.num_envs)
        self.left: SimpleQueue[Iterator[int] | None] = SimpleQueue()  # for each thread, what is left to step
        self.done: SimpleQueue[Exception | None] = SimpleQueue()
        # Beside the one that calls. Daemons: the process does not wait for one that hangs, when it ends.
        others = min(cores.allowed(), self.num_envs) - 1
        self.threads = [threading.Thread(target=self._help, daemon=True) for _ in range(others)]
        for thread in self.threads:
            thread.start()

    def step_wait(self) -> VecEnvStepReturn:
        """Step all; raises what an environment raises."""
        left = iter(range(self.num_envs))
        for _ in self.threads:
            self.left.put(left)
        self._step_those(left)
        for raised in [self.done.get() for _ in self.threads]:
            if raised:
                raise raised
        observations = {key: values.copy() for key, values in self.buf_obs.items()}
        return observations, self.buf_rews.copy(), self.buf_dones.copy(), [*self.buf_infos]

    def _help(self) -> None:
        """Step with the others, until there is None."""
        while (left := self.left.get()) is not None:
            try:
                self._step_those(left)
                self.done.put(None)
            except Exception as error:  # whatever an environment raises
                self.done.put(error)

    def _step_those(self, left: Iterator[int]) -> None:
        """Step environments, one after the other, until none is left; an iterator gives each to one thread."""
        for index in left:
            env = self.envs[index]
            observation, self.buf_rews[index], terminated, truncated, info = env.step(self.actions[index])
            self.buf_dones[index] = terminated or truncated
            info["TimeLimit.truncated"] = truncated and not terminated
            if self.buf_dones[index]:
                info["terminal_observation"] = observation
                observation, self.reset_infos[index] = env.reset()
            self.buf_infos[index] = info
            self._save_obs(index, observation)

    def close(self) -> None:
        """Close the environments and end the threads."""
        super().close()
        for _ in self.threads:
            self.left.put(None)
        for thread in self.threads:
            thread.join()
