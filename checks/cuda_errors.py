"""What nvidia-smi and CUDA say when they fail, what that means, and what helps.

Messages as NVIDIA's driver and torch print them; where the machine that shows one is rare, tests replay it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from checks.verdict import Failure

DRIVER_VERSION = Path("/proc/driver/nvidia/version")  # of the kernel's module; a container sees it, too
# The way to another torch.
BASE_LAYER = "another base layer: make verify BASE_IMAGE=… (container) or PYTHON=… (local)"

# Pattern, cause, remedy. The first that matches counts.
NVIDIA_SMI = (
    ("communicate with the NVIDIA driver", "gpu.driver-not-loaded", "sudo modprobe nvidia; or reinstall the driver"),
    ("version mismatch", "gpu.driver-mismatch", "sudo reboot: the driver was updated while it was loaded"),
    ("GPU is lost|Unable to determine the device handle", "gpu.fallen-off", "sudo dmesg | grep -i xid; sudo reboot"),
    ("No devices were found", "gpu.none-found", "sudo dmesg | grep -i nvrm; lspci -d 10de:; then seat or replace it"),
    ("Insufficient Permissions", "gpu.not-permitted", "ls -l /dev/nvidia*; sudo usermod -aG video,render $USER"),
    ("NVML: Unknown Error", "gpu.lost", "exit; make shell: a container that has lost its GPU does not get it back"),
)
TORCH = (
    ("driver on your system is too old", "gpu.driver-old", f"update the NVIDIA driver; or {BASE_LAYER}"),
    ("Error 802|not yet initialized", "gpu.fabric-manager", "sudo systemctl enable --now nvidia-fabricmanager"),
    ("Error 803|unsupported display driver", "gpu.driver-mismatch", "sudo reboot: the driver was updated meanwhile"),
    ("Error 804|forward compatibility", "gpu.driver-old", f"update the NVIDIA driver; or {BASE_LAYER}"),
    (
        "busy or unavailable",
        "gpu.busy",
        "nvidia-smi shows who has it; sudo nvidia-smi --compute-mode=DEFAULT shares it",
    ),
    ("out of memory", "gpu.out-of-memory", "nvidia-smi shows who has it; end that, or CUDA_VISIBLE_DEVICES=another"),
    (
        "no kernel image|gpu-architecture|PTX was compiled",
        "gpu.architecture",
        f"a torch built for it, from {BASE_LAYER}",
    ),
)


def missing(tool: str) -> Failure:
    """Return what it means that nvidia-smi is not there: no driver, no access from the container, no tools."""
    wanted = f"{tool} to see a GPU"
    if not DRIVER_VERSION.exists():
        where = "this container's host" if os.environ.get("LAB_IMAGE") else "this machine"
        return Failure(
            "gpu.driver-missing",
            expected=wanted,
            found=f"no {tool}, and no NVIDIA driver in the kernel of {where}",
            fix="install the NVIDIA driver (Ubuntu: sudo ubuntu-drivers install) and restart; "
            "or, if there is no GPU: make verify EXPECT=cpu",
        )
    driver = re.search(r"\d+\.\d+(\.\d+)?", DRIVER_VERSION.read_text())
    loaded = f"driver {driver[0] if driver else 'of unknown version'} is loaded"
    if os.environ.get("LAB_IMAGE"):
        return Failure(
            "gpu.not-passed",
            expected=wanted,
            found=f"{loaded} on the host, but this container was started without the GPU",
            fix="exit; make shell EXPECT=gpu (docker run by hand: --gpus all, with the NVIDIA Container Toolkit)",
        )
    return Failure(
        "gpu.tools-missing",
        expected=wanted,
        found=f"no {tool}, though {loaded}",
        fix="install the driver's tools (Ubuntu: sudo apt-get install nvidia-utils-…, of the driver's version)",
    )


def diagnose(table: tuple[tuple[str, str, str], ...], said: str, otherwise: tuple[str, str]) -> tuple[str, str]:
    """Return (cause, fix) of what was said; `otherwise` where the table does not know it."""
    return next(((cause, fix) for pattern, cause, fix in table if re.search(pattern, said)), otherwise)
