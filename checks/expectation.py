"""Should this machine have a GPU? docker/expect.sh decides, by EXPECT or by the hardware."""

from __future__ import annotations

import functools
from typing import Literal

from checks import outside
from checks.output import ROOT

TIMEOUT = 60  # seconds


@functools.cache
def expected() -> Literal["gpu", "cpu"]:
    """Return what docker/expect.sh says; exits with its status where it refuses EXPECT, for which it has the words."""
    asked = outside.run([ROOT / "docker/expect.sh"], TIMEOUT, stderr=None)
    if asked.returncode:
        raise SystemExit(asked.returncode)
    return asked.stdout.strip()
