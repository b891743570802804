"""What an exception in the training loop means, and what helps."""

from __future__ import annotations

import re

from checks.verdict import Failure

# Pattern of the message, cause, what it is. The first that matches counts.
MEANINGS = (
    (r"invalid values|\bnan\b|\binf\b", "train.not-finite", "NaN or infinity in the policy"),
    ("out of memory", "train.out-of-memory", "no memory is left on the device"),
    ("same device|on device|cuda.*cpu|cpu.*cuda", "train.device-mixed", "tensors on two devices"),
    ("dtype|scalar type|data type|numpy.object_", "train.dtype", "numbers of two types"),
    ("shape|size mismatch|must match|dimension", "train.shape", "the policy does not fit the observations"),
)
REMEDY = "make venv; make check-gpu check-mujoco"


def meaning(error: Exception, timesteps: int) -> Failure:
    """Return the Failure that an exception after so many timesteps stands for."""
    said = next((line for line in str(error).splitlines() if line.strip()), "no message")
    cause, what = next(
        ((cause, what) for pattern, cause, what in MEANINGS if re.search(pattern, str(error), re.IGNORECASE)),
        ("train.crashed", "the loop ended early"),
    )
    found = f"{what}, after {timesteps:,} steps: {type(error).__name__}: {said}"
    return Failure(cause, expected="the training loop to run to its end", found=found, fix=REMEDY)
