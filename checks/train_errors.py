"""What an exception in the training loop means."""

from __future__ import annotations

import errno
import re

from checks import limits
from checks.causes import Failure, known

CAUSES = """
train.shape the policy does not fit the observations
train.dtype numbers of two types
train.device-mixed tensors on two devices
train.not-finite NaN or infinity in the policy
train.out-of-memory no memory is left on the device
train.crashed the loop ended early
train.not-moved training left a parameter unchanged
train.steps the loop took another number of steps than was asked for
train.leak memory grows while it trains
    make venv; make check-gpu check-mujoco
train.device PPO did not use the device that was asked for
    make check-gpu; or, to train on the CPU: EXPECT=cpu
train.process-ended a process that simulates or replays was killed (out of memory?), crashed, or raised an error
    free -h; sudo dmesg | grep -i -e oom -e segfault
train.limit-reached no thread, process or memory is to be had: a limit of the shell, the container or the job
    ulimit -Su hard; ulimit -Sv hard; or, if that is too little: a new login, docker run --pids-limit=-1, another job
train.hangs it gave no sign of life for five minutes: one of its processes was stopped, or a driver or a disk hangs
    make check-train; if it stays: ps -eo pid,stat,wchan:20,args; STAT T is stopped, D waits for a driver or a disk
train.temporary-folder the path of TMPDIR is too long for a socket
    make check-train TMPDIR=/tmp
train.not-loadable the checkpoint is cut short, or is of other versions
train.checkpoint-differs the loaded policy does not act as the trained one
    df -h …; make venv
train.not-learning the policy is no better than random, or than before
    tensorboard --logdir proof/tensorboard; make check-mujoco
"""

# Pattern of the message, and the cause. The first that matches counts.
PATTERNS = (
    ("start new thread|allocate memory|unable to allocate|memoryerror", "train.limit-reached"),
    (r"invalid values|\bnan\b|\binf\b", "train.not-finite"),
    ("out of memory", "train.out-of-memory"),
    ("same device|on device|cuda.*cpu|cpu.*cuda", "train.device-mixed"),
    ("dtype|scalar type|data type|numpy.object_", "train.dtype"),
    ("shape|size mismatch|must match|dimension", "train.shape"),
)


def raised() -> tuple[type[Exception], ...]:
    """Return what the training loop and its environments raise."""
    from mujoco import FatalError

    return ArithmeticError, AttributeError, FatalError, LookupError, MemoryError, RuntimeError, TypeError, ValueError


def refused(error: Exception) -> bool:
    """Say whether the system refused a process: to this one, or to multiprocessing's server, which then ends."""
    return getattr(error, "errno", 0) in (errno.EAGAIN, errno.ENOMEM) or str(error) == "unexpected EOF"


def cause_of(said: str) -> str | None:
    """Return the cause that the words of an error stand for, if that is known."""
    return next((cause for pattern, cause in PATTERNS if re.search(pattern, said, re.IGNORECASE)), None)


def meaning(error: Exception, timesteps: int) -> Failure:
    """Return the Failure that an exception after so many timesteps stands for."""
    said = f"{type(error).__name__}: {next((line for line in str(error).splitlines() if line.strip()), 'no message')}"
    cause = "train.limit-reached" if refused(error) else cause_of(f"{said}\n{error}")
    cause = cause or ("train.crashed" if limits.thread_starts() else "train.limit-reached")
    found = f"{known()[cause].meaning}, after {timesteps:,} steps: {said}"
    if cause == "train.limit-reached":
        found = f"after {timesteps:,} steps: {said}; limits here: {', '.join(limits.set_here()) or 'none'}"
    return Failure(cause, expected="the training loop to run to its end", found=found)
