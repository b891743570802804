"""Steps/s of eight environments with random actions, by number of cores; runs in the lab, or in EnvPool's venv.

    python -m bench.stepping dummy | lab | physics | envpool

Prints JSON: {"1": …, "2": …}, to eight cores or as many as there are. `physics` is the 20 mj_step of a step and
nothing else, in threads.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

ENV = "FetchReachDense-v4"
N_ENVS = 8
EPISODE = 50  # steps
WARM_UP = 20  # steps of all environments
WINDOW = 3.0  # seconds


def rate(step: Callable[[np.ndarray], object]) -> float:
    """Return how many environments a second `step`, which takes actions of shape (N_ENVS, 4), steps."""
    actions = np.random.default_rng(0).uniform(-1, 1, (100, N_ENVS, 4)).astype(np.float32)
    for action in actions[:WARM_UP]:
        step(action)
    started = time.perf_counter()
    for count, action in enumerate(itertools.cycle(actions), 1):
        step(action)
        if (seconds := time.perf_counter() - started) >= WINDOW:
            return count * N_ENVS / seconds


def lab(cores: int) -> float:
    """The environments as check-train steps them."""
    from checks import train_workers

    env = train_workers.smoke_environments(N_ENVS, seed=0)
    for process in env.processes:  # forked from a server that has the cores of the first measurement
        os.sched_setaffinity(process.pid, os.sched_getaffinity(0))
    return stepped(env)


def dummy(cores: int) -> float:
    """The environments as the plain recipe steps them: one after the other."""
    from stable_baselines3.common.env_util import make_vec_env

    from checks import fetch

    return stepped(make_vec_env(fetch.SMOKE_ENV, n_envs=N_ENVS, seed=0))


def stepped(env) -> float:
    """Measure a vectorised environment, and close it."""
    env.reset()
    measured = rate(env.step)
    env.close()
    return measured


def envpool(cores: int) -> float:
    """EnvPool's own C++ environments, with a thread for each core."""
    import envpool

    return stepped(envpool.make_gymnasium(ENV, num_envs=N_ENVS, num_threads=cores, seed=0))


def physics(cores: int) -> float:
    """The simulator alone, told where the gripper shall go as the environment tells it."""
    import mujoco

    from checks import fetch

    with fetch.made(fetch.SMOKE_ENV) as env:
        env.reset(seed=0)
        environment = env.unwrapped
        model, substeps = environment.model, environment.n_substeps
        gripper = model.body("robot0:gripper_link").id
        start = mujoco.MjData(model)
        mujoco.mj_copyData(start, model, environment.data)
        states = [mujoco.MjData(model) for _ in range(N_ENVS)]

    def integrate(state, action: np.ndarray) -> None:
        state.mocap_pos[0] = state.xpos[gripper] + 0.05 * action[:3]  # metres, as FetchEnv._set_action
        mujoco.mj_step(model, state, nstep=substeps)

    steps = itertools.count()
    with ThreadPoolExecutor(min(cores, N_ENVS)) as pool:

        def step(actions: np.ndarray) -> None:
            if next(steps) % EPISODE == 0:  # or the arm would wander off into contacts that cost more
                for state in states:
                    mujoco.mj_copyData(state, model, start)
            list(pool.map(integrate, states, actions))

        return rate(step)


CONTESTANTS = {measure.__name__: measure for measure in (dummy, lab, physics, envpool)}


def main(name: str) -> None:
    """Measure one of them on 1, 2, 4 and 8 cores, as far as there are that many; print."""
    os.environ["MUJOCO_GL"] = "disable"
    cores = sorted(os.sched_getaffinity(0))
    counts = [count for count in (1, 2, 4, 8) if count <= len(cores)]
    rates = {}
    for count in counts[:1] if name == "dummy" else counts:
        os.sched_setaffinity(0, cores[:count])
        rates[count] = CONTESTANTS[name](count)
    print(json.dumps(rates))


if __name__ == "__main__":
    main(sys.argv[1])
