"""b: raw steps/s of eight environments, against EnvPool and against the physics alone, by number of cores.

In the lab, or in EnvPool's own venv, `python -m bench.environments dummy | lab | physics | envpool` prints as JSON
{"lab_1": …, "lab_2": …}, to eight cores or as many as there are. Actions are random.
"""

import itertools
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from bench.timing import LAB, SCRATCH, CommandFailed, run

N_ENVS = 8
EPISODE = 50  # steps
WARM_UP = 20  # steps of all environments
WINDOW = 3.0  # seconds
ENVPOOL = f"{SCRATCH}/envpool"  # a venv of its own: the lab is measured against it, and has no part of it
INSTALL = ["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "envpool==1.2.5"]


def turn(number: int) -> dict:
    """Step each in a process of its own; figures are named `lab_2`: steps/s on two cores."""
    programs, figures = dict.fromkeys(("dummy", "lab", "physics"), "python"), {}
    try:
        run([*LAB, "python", "-m", "venv", ENVPOOL], "b: EnvPool's own venv")
        run([*LAB, "env", "PIP_CONSTRAINT=", f"{ENVPOOL}/bin/pip", *INSTALL], "b: EnvPool")
        programs["envpool"] = f"{ENVPOOL}/bin/python"
    except CommandFailed as reason:
        figures["envpool_absent"] = f"EnvPool cannot be installed here: {str(reason).splitlines()[-1]}"
    for name, python in programs.items():
        figures |= json.loads(run([*LAB, python, "-m", "bench.environments", name], f"b: {name}")[1])
    return figures


def made(name: str, cores: int):
    """Return eight environments: as check-train steps them, as the plain recipe does, EnvPool's, or their physics."""
    if name == "physics":
        return physics(cores)
    if name == "envpool":
        import envpool

        return envpool.make_gymnasium("FetchReachDense-v4", num_envs=N_ENVS, num_threads=cores, seed=0)
    from checks import fetch, train_workers

    if name == "dummy":
        from stable_baselines3.common.env_util import make_vec_env

        return make_vec_env(fetch.SMOKE_ENV, n_envs=N_ENVS, seed=0)
    env = train_workers.smoke_environments(N_ENVS, seed=0)
    for process in env.processes:  # forked from a server that has the cores of the first measurement
        os.sched_setaffinity(process.pid, os.sched_getaffinity(0))
    return env


def physics(cores: int):
    """Return the 20 mj_step of a step and nothing else, in threads; the gripper is led as the environment leads it."""
    import mujoco

    from checks import fetch

    with fetch.made(fetch.SMOKE_ENV) as env:
        env.reset(seed=0)
        model, start, substeps = env.unwrapped.model, env.unwrapped.data, env.unwrapped.n_substeps
    gripper = model.body("robot0:gripper_link").id
    states = [mujoco.MjData(model) for _ in range(N_ENVS)]
    steps, pool = itertools.count(), ThreadPoolExecutor(cores)

    def integrate(state, action) -> None:
        state.mocap_pos[0] = state.xpos[gripper] + 0.05 * action[:3]  # metres, as FetchEnv._set_action
        mujoco.mj_step(model, state, nstep=substeps)

    def step(actions) -> None:
        if next(steps) % EPISODE == 0:  # or the arm would wander off into contacts that cost more
            for state in states:
                mujoco.mj_copyData(state, model, start)
        list(pool.map(integrate, states, actions))

    return SimpleNamespace(reset=lambda: None, step=step, close=pool.shutdown)


def rate(env) -> float:
    """Return how many environments a second `env`, which takes actions of shape (N_ENVS, 4), steps."""
    import numpy as np

    actions = np.random.default_rng(0).uniform(-1, 1, (100, N_ENVS, 4)).astype(np.float32)
    env.reset()
    for action in actions[:WARM_UP]:
        env.step(action)
    started = time.perf_counter()
    for count, action in enumerate(itertools.cycle(actions), 1):
        env.step(action)
        if (seconds := time.perf_counter() - started) >= WINDOW:
            return count * N_ENVS / seconds


def main(name: str) -> None:
    """Measure one of them on 1, 2, 4 and 8 cores, as far as there are that many; print."""
    os.environ["MUJOCO_GL"] = "disable"
    cores, rates = sorted(os.sched_getaffinity(0)), {}
    for count in [1] if name == "dummy" else [count for count in (1, 2, 4, 8) if count <= len(cores)]:
        os.sched_setaffinity(0, cores[:count])
        env = made(name, count)
        rates[f"{name}_{count}"] = rate(env)
        env.close()
    print(json.dumps(rates))


if __name__ == "__main__":
    main(sys.argv[1])
