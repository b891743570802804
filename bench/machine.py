"""Print as JSON what the figures are of: the machine, and the versions that matter; runs in the lab."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def cpu() -> str:
    """Return the processor's name, which on some machines only its architecture tells."""
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def gpu() -> str | None:
    """Return the GPUs' names as the driver gives them, or None."""
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    run = subprocess.run(query, capture_output=True, text=True, check=False)
    return "; ".join(run.stdout.split("\n")).strip("; ") or None


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "system": platform.freedesktop_os_release()["PRETTY_NAME"],
                "architecture": platform.machine(),
                "cpu": cpu(),
                "cores": len(os.sched_getaffinity(0)),
                "gpu": gpu(),
                "engine": os.environ["ENGINE"],
                "expect": os.environ["EXPECT"],
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "mujoco", "gymnasium-robotics", "stable-baselines3")},
            }
        )
    )
