"""Should this machine have a GPU? docker/expect.sh decides, by EXPECT or by the hardware."""

from __future__ import annotations

import functools
import subprocess
from typing import Literal

from checks.output import ROOT


@functools.cache
def expected() -> Literal["gpu", "cpu"]:
    """Return what docker/expect.sh says; exits with its status where it refuses EXPECT, for which it has the words."""
    asked = subprocess.run([ROOT / "docker/expect.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if asked.returncode:
        raise SystemExit(asked.returncode)
    return asked.stdout.strip()
