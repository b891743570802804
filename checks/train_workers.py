"""What steps the environments of a training, threads or processes; and the process that replays the checkpoint.

Processes are forked from a server (multiprocessing's forkserver), which imports torch while the process that trains
does the same. Forked from that process itself, they would hold copies of each other's pipes, and it would wait for one
that was killed without end.
"""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import connection, forkserver
from pathlib import Path

import numpy as np

from checks import cores
from checks.causes import Failure

PROCESSES_FROM = 5  # cores; with four they are as fast as threads, with eight faster by a third (docs/numbers.md)


def start_server() -> None:
    """Start the server, and do not wait for it. Does nothing when it runs."""
    forkserver.set_forkserver_preload(["checks.train_preload"])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is for the process that trains
    forkserver.ensure_running()
    signal.signal(signal.SIGINT, before)


def fastest() -> tuple[str, str]:
    """Return how environments are stepped fastest here, `threads` or `processes`, and why."""
    count = cores.allowed()
    return "threads" if count < PROCESSES_FROM else "processes", f"cores: {count}"


def smoke_environments(n_envs: int, seed: int, stepped_by: str | None = None):
    """Return the smoke environments as a VecEnv: seeded from `seed` on, looking up no name twice.

    They are stepped by `threads` or `processes`, by default by what is fastest here. Every digit is the same.
    """
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv

    from checks import fetch
    from checks.train_threads import ThreadVecEnv

    vec_env = {"threads": ThreadVecEnv, "processes": SubprocVecEnv}[stepped_by or fastest()[0]]
    if vec_env is SubprocVecEnv:
        start_server()  # from which it forks by default
    return make_vec_env(fetch.SMOKE_ENV, n_envs, seed, wrapper_class=fetch.faster, vec_env_cls=vec_env)


def how_one_ended(processes: list[multiprocessing.Process]) -> str:
    """Say how one of the processes ended; waits up to 5 s for it."""
    connection.wait([process.sentinel for process in processes], timeout=5)
    status = next((process.exitcode for process in processes if process.exitcode is not None), None)
    if status is None:
        return "closed its pipe"
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}, its message is above"


def end_all() -> None:
    """End what this process has started, stopped or not; Python's own way to exit would wait for it."""
    for process in multiprocessing.active_children():
        process.kill()
        process.join(5)


class NotReplayed(Exception):
    """`act` has raised an error, in the process that replays."""


def replayed(checkpoint: Path, observations: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
    """Return what `act` does in a process that knows nothing of the training. Raises NotReplayed, Failure."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=answer, args=(theirs, checkpoint, observations), daemon=True)
    process.start()
    theirs.close()
    try:
        acted, error = ours.recv()
    except EOFError as reason:
        found = f"the one that replays {how_one_ended([process])}"
        raise Failure("train.process-ended", expected="the replay of the checkpoint to last", found=found) from reason
    finally:
        ours.close()
        process.kill()
        process.join(5)
    if error:
        raise NotReplayed(error)
    return acted


def answer(pipe: connection.Connection, checkpoint: Path, observations: dict[str, np.ndarray]) -> None:
    """Send what `act` does, and no error; or nothing, and the error."""
    try:
        pipe.send((act(checkpoint, observations), ""))
    except Exception as reason:  # a damaged file raises whatever it likes
        pipe.send((None, f"{type(reason).__name__}: {reason}"))


def act(checkpoint: Path, observations: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
    """Load the checkpoint; return its deterministic actions, float32 (batch, 4), and the steps it was trained for."""
    import torch
    from stable_baselines3 import PPO

    torch.set_num_threads(1)  # as in training: with two, 4 of 534 replays rounded differently
    model = PPO.load(checkpoint, device="cpu")
    return model.predict(observations, deterministic=True)[0], model.num_timesteps
