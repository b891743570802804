"""A vectorised environment that steps its environments in as many processes as there are cores.

Half of a Fetch step is MuJoCo, which releases the interpreter lock, and half is Python, which does not: threads
would gain little, and nothing beyond two cores. The processes are forked, so they start in milliseconds and
import nothing. Make it before torch computes: the threads that torch then starts do not survive a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from checks import fetch


class ProcessEnded(RuntimeError):
    """A process of environments has ended by itself: killed for memory, or crashed in the simulator."""


def serve(pipe: Connection, env_fns: list[Callable[[], gymnasium.Env]], others: list[Connection]) -> None:
    """Make the environments and do what comes through the pipe, until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that owns the pipes
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:  # the fork's copies of the owner's ends, which would keep its death from us
        other.close()

    def call(method: str, *arguments, **options) -> Any:
        if method == "step":
            return *env.step(*arguments), env.reset_infos
        if method == "reset":
            env._seeds, env._options = arguments
            return env.reset(), env.reset_infos
        return getattr(env, method)(*arguments, **options)

    with contextlib.suppress(EOFError, ConnectionError):
        try:
            env = DummyVecEnv(env_fns)
        except Exception as reason:
            pipe.send(noted(reason))
            return
        pipe.send((env.observation_space, env.action_space))
        while True:
            method, arguments, options = pipe.recv()
            if method == "close":
                env.close()
                return
            try:
                answer = call(method, *arguments, **options)
            except Exception as reason:
                answer = noted(reason)
            pipe.send(answer)


def noted(reason: Exception) -> Exception:
    """Return the exception with its traceback, which does not travel by itself, as a note."""
    reason.add_note(traceback.format_exc())
    return reason


class ProcessVecEnv(VecEnv):
    """Environments in processes, each of which holds its share of them in a DummyVecEnv.

    A seed gives the same rollouts as with one DummyVecEnv, and every method the same answers. Exceptions of an
    environment are raised here, and ProcessEnded where a process is gone.
    """

    def __init__(self, env_fns: list[Callable[[], gymnasium.Env]]):
        shares = np.array_split(range(len(env_fns)), min(len(env_fns), len(os.sched_getaffinity(0))))
        self._slices = [slice(int(share[0]), int(share[-1]) + 1) for share in shares]
        self._pipes: list[Connection] = []
        self._processes = []
        fork = multiprocessing.get_context("fork")
        for share in self._slices:
            ours, theirs = fork.Pipe()
            self._pipes.append(ours)
            process = fork.Process(target=serve, args=(theirs, env_fns[share], list(self._pipes)), daemon=True)
            process.start()
            self._processes.append(process)
            theirs.close()
        try:
            spaces = [self._receive(number) for number in range(len(shares))]
            super().__init__(len(env_fns), *spaces[0])
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that hold the environments."""
        return [process.pid for process in self._processes]

    def _send(self, number: int, method: str, *arguments, **options) -> None:
        with contextlib.suppress(ConnectionError):  # _receive tells
            self._pipes[number].send((method, arguments, options))

    def _receive(self, number: int) -> Any:
        try:
            answer = self._pipes[number].recv()
        except (EOFError, ConnectionError) as reason:
            self._processes[number].join()
            share, status = self._slices[number], self._processes[number].exitcode
            how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
            raise ProcessEnded(f"the process of environments {share.start} to {share.stop - 1} {how}") from reason
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _receive_all(self) -> list[tuple]:
        """Return the answers of all processes, transposed: one list for each of their parts."""
        return list(zip(*[self._receive(number) for number in range(len(self._pipes))], strict=True))

    def _joined(self, observations: tuple[VecEnvObs, ...]) -> VecEnvObs:
        if isinstance(observations[0], dict):
            return {key: np.concatenate([part[key] for part in observations]) for key in observations[0]}
        return np.concatenate(observations)

    def reset(self) -> VecEnvObs:
        """Reset every environment, with its seed if one was set since the last time."""
        for number, share in enumerate(self._slices):
            self._send(number, "reset", self._seeds[share], self._options[share])
        observations, infos = self._receive_all()
        self.reset_infos = list(chain(*infos))
        self._reset_seeds()
        self._reset_options()
        return self._joined(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Start a step of every environment; actions: (n_envs, …)."""
        for number, share in enumerate(self._slices):
            self._send(number, "step", actions[share])

    def step_wait(self) -> VecEnvStepReturn:
        """Return what that step gave; the shapes are those of stable_baselines3's VecEnv."""
        observations, rewards, dones, infos, reset_infos = self._receive_all()
        self.reset_infos = list(chain(*reset_infos))
        return self._joined(observations), np.concatenate(rewards), np.concatenate(dones), list(chain(*infos))

    def close(self) -> None:
        """End the processes, which close their environments; a second time does nothing."""
        for number, pipe in enumerate(self._pipes):
            self._send(number, "close")
            pipe.close()
        for process in self._processes:
            process.join()
        self._pipes = []

    def _each(self, indices: VecEnvIndices, method: str, *arguments, **options) -> list[Any]:
        """Call a method of the environments' DummyVecEnv for one environment after the other."""
        answers = []
        for index in self._get_indices(indices):
            number = next(n for n, share in enumerate(self._slices) if share.start <= index < share.stop)
            self._send(number, method, *arguments, indices=[index - self._slices[number].start], **options)
            answers += self._receive(number) or []
        return answers

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment."""
        return self._each(indices, "get_attr", attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of each environment."""
        self._each(indices, "set_attr", attr_name, value)

    def env_method(self, method_name: str, *method_args, indices: VecEnvIndices = None, **method_kwargs) -> list[Any]:
        """Call a method of each environment."""
        return self._each(indices, "env_method", method_name, *method_args, **method_kwargs)

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Say of each environment whether it is wrapped in that class."""
        return self._each(indices, "env_is_wrapped", wrapper_class)


def smoke_environments(n_envs: int, seed: int) -> ProcessVecEnv:
    """Return the smoke environments, in processes, as the lab trains and evaluates in them."""
    options = {"wrapper_class": fetch.faster, "vec_env_cls": ProcessVecEnv}
    return make_vec_env(fetch.SMOKE_ENV, n_envs=n_envs, seed=seed, **options)
