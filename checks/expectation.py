"""What should this machine have: a GPU, or none? EXPECT says, or else the hardware does."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Literal

from checks.verdict import ROOT


def expected() -> Literal["gpu", "cpu"]:
    """Return what EXPECT says; `auto` or unset: whether env/nvidia.sh sees an NVIDIA GPU.

    In the container EXPECT is never `auto`: docker/dev.sh has looked at the host, where the hardware is.
    Exits with status 2 where EXPECT is none of auto, gpu, cpu.
    """
    word = os.environ.get("EXPECT") or "auto"
    if word == "auto":
        seen = subprocess.run([ROOT / "env/nvidia.sh"], stdout=subprocess.DEVNULL, check=False)
        return "cpu" if seen.returncode else "gpu"
    if word not in ("gpu", "cpu"):
        print(f"error: EXPECT={word} is not one of auto, gpu, cpu\nfix: EXPECT=auto", file=sys.stderr)
        raise SystemExit(2)
    return word
