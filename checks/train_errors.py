"""What an exception in the training loop means."""

from __future__ import annotations

import re

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
train.process-ended a simulating process was killed (out of memory?) or crashed, or its environment raised an error
    free -h; sudo dmesg | grep -i -e oom -e segfault
train.temporary-folder the path of TMPDIR is too long for a socket
    make check-train TMPDIR=/tmp
train.not-loadable the checkpoint is cut short, or is of other versions
train.checkpoint-differs the loaded policy does not act as the trained one
    df -h …; make venv
train.not-learning the policy is no better than random, or than before
    tensorboard --logdir proof/tensorboard; make check-mujoco
"""

# What the training loop and its environments raise.
RAISED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)

# Pattern of the message, and the cause. The first that matches counts.
PATTERNS = (
    (r"invalid values|\bnan\b|\binf\b", "train.not-finite"),
    ("out of memory", "train.out-of-memory"),
    ("same device|on device|cuda.*cpu|cpu.*cuda", "train.device-mixed"),
    ("dtype|scalar type|data type|numpy.object_", "train.dtype"),
    ("shape|size mismatch|must match|dimension", "train.shape"),
)


def meaning(error: Exception, timesteps: int) -> Failure:
    """Return the Failure that an exception after so many timesteps stands for."""
    said = next((line for line in str(error).splitlines() if line.strip()), "no message")
    matches = (cause for pattern, cause in PATTERNS if re.search(pattern, str(error), re.IGNORECASE))
    cause = next(matches, "train.crashed")
    found = f"{known()[cause].meaning}, after {timesteps:,} steps: {type(error).__name__}: {said}"
    return Failure(cause, expected="the training loop to run to its end", found=found)
