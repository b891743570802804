"""Should this machine have a GPU? docker/expect.sh decides, by EXPECT or by the hardware."""

from __future__ import annotations

import functools
import os
import sys
from typing import Literal

from checks import outside
from checks.output import ROOT

TIMEOUT = 60  # seconds


@functools.cache
def expected() -> Literal["gpu", "cpu"]:
    """Return what docker/expect.sh says; exits with its status where it refuses EXPECT, for which it has the words."""
    quiet = {name: value for name, value in os.environ.items() if name != "BASH_ENV"}  # what that prints is no answer
    asked = outside.run([ROOT / "docker/expect.sh"], TIMEOUT, stderr=None, env=quiet)
    if asked.returncode:
        raise SystemExit(asked.returncode)
    if (answer := asked.stdout.strip()) not in ("gpu", "cpu"):
        sys.exit(
            f"error: docker/expect.sh says {answer!r}, which is neither gpu nor cpu\nfix: EXPECT=gpu or EXPECT=cpu"
        )
    return answer
