"""What nvidia-smi and CUDA say when they fail, and what that means.

Messages as NVIDIA's driver and torch print them; where the machine that shows one is rare, tests replay it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from checks.causes import Failure

CAUSES = """
gpu.driver-missing the NVIDIA driver is not installed: no `nvidia-smi`, and no module in the kernel
    install the NVIDIA driver (Ubuntu: sudo ubuntu-drivers install), restart; or, without a GPU: make verify EXPECT=cpu
gpu.toolkit-missing Docker or Podman cannot give the GPU to a container: no NVIDIA Container Toolkit
    install the NVIDIA Container Toolkit and restart …; or, without a GPU: EXPECT=cpu
gpu.not-passed the host's driver is loaded, but the container was started without the GPU
    exit; make shell EXPECT=gpu (docker run by hand: --gpus all, with the NVIDIA Container Toolkit)
gpu.tools-missing the driver is loaded, but `nvidia-smi` is not installed
    install the driver's tools (Ubuntu: sudo apt-get install nvidia-utils-…, of the driver's version)
gpu.driver-not-loaded `nvidia-smi` does not reach the kernel's module
    sudo modprobe nvidia; or reinstall the driver
gpu.driver-mismatch the driver was updated while the old one was loaded
    sudo reboot: the driver was updated while it was loaded
gpu.driver-failed `nvidia-smi` fails for a reason of its own
    nvidia-smi; sudo dmesg | grep -i nvrm; then reinstall the driver, or sudo reboot
gpu.driver-hangs `nvidia-smi` does not answer: the GPU has hung
    sudo dmesg | grep -i -e nvrm -e xid; sudo reboot
gpu.fallen-off the GPU has fallen off the bus: heat, power or seating; if it comes back, the hardware
    sudo dmesg | grep -i xid; sudo reboot
gpu.none-found the driver runs and finds no GPU
    sudo dmesg | grep -i nvrm; lspci -d 10de:; then seat or replace it
gpu.not-permitted you may not open `/dev/nvidia*`
    ls -l /dev/nvidia*; sudo usermod -aG video,render $USER, then log out and back in
gpu.lost a running container has lost its GPU; `systemctl daemon-reload` on the host does that
    exit; make shell: a container that has lost its GPU does not get it back
gpu.torch-cpu-only torch has no CUDA
    make verify ENGINE=docker; or another base layer: make verify BASE_IMAGE=… (container) or PYTHON=… (local)
gpu.torch-import torch does not load
    make venv; where a library is missing that the base layer should bring: another BASE_IMAGE or PYTHON
gpu.driver-old the driver is older than torch's CUDA
    update the NVIDIA driver; or another base layer: make verify BASE_IMAGE=… (container) or PYTHON=… (local)
gpu.fabric-manager a machine with NVSwitch, such as a DGX, whose fabric is not up
    sudo systemctl enable --now nvidia-fabricmanager
gpu.hidden `CUDA_VISIBLE_DEVICES` hides the GPU
    unset CUDA_VISIBLE_DEVICES
gpu.torch-blind torch does not see the GPU and gives no reason
    python -c 'import torch; torch.cuda.init()'; or another base layer: make verify BASE_IMAGE=… or PYTHON=…
gpu.busy another process has the GPU in exclusive mode, or its compute mode is prohibited
    nvidia-smi shows who has it; sudo nvidia-smi --compute-mode=DEFAULT shares it
gpu.out-of-memory others have taken the GPU's memory
    nvidia-smi shows who has it; end that, or CUDA_VISIBLE_DEVICES=another
gpu.architecture torch was not built for this GPU; only a launched kernel tells
    a torch built for it, from another base layer: make verify BASE_IMAGE=… (container) or PYTHON=… (local)
gpu.kernel-failed a kernel fails for another reason
    nvidia-smi -q -d ECC,PAGE_RETIREMENT; or another base layer: make verify BASE_IMAGE=… or PYTHON=…
gpu.wrong-result the GPU computes wrong: do not train on it
    nvidia-smi -q -d ECC; this GPU computes wrong: do not train on it
"""

DRIVER_VERSION = Path("/proc/driver/nvidia/version")  # of the kernel's module; a container sees it, too
# Pattern and cause. The first that matches counts.
NVIDIA_SMI = (
    ("communicate with the NVIDIA driver", "gpu.driver-not-loaded"),
    ("version mismatch", "gpu.driver-mismatch"),
    ("GPU is lost|Unable to determine the device handle", "gpu.fallen-off"),
    ("No devices were found", "gpu.none-found"),
    ("Insufficient Permissions", "gpu.not-permitted"),
    ("NVML: Unknown Error", "gpu.lost"),
)
TORCH = (
    ("driver on your system is too old", "gpu.driver-old"),
    ("Error 802|not yet initialized", "gpu.fabric-manager"),
    ("Error 803|unsupported display driver", "gpu.driver-mismatch"),
    ("Error 804|forward compatibility", "gpu.driver-old"),
    ("busy or unavailable", "gpu.busy"),
    ("out of memory", "gpu.out-of-memory"),
    ("no kernel image|gpu-architecture|PTX was compiled", "gpu.architecture"),
)


def diagnose(table: tuple[tuple[str, str], ...], said: str, otherwise: str) -> str:
    """Return the cause of what was said; `otherwise` where the table does not know it."""
    return next((cause for pattern, cause in table if re.search(pattern, said)), otherwise)


def missing(tool: str) -> Failure:
    """Return why nvidia-smi is missing: no driver, no access from the container, or no tools."""
    wanted = f"{tool} to see a GPU"
    in_container = os.environ.get("ENGINE", "local") != "local"
    if not DRIVER_VERSION.exists():
        where = "this container's host" if in_container else "this machine"
        found = f"no {tool}, and no NVIDIA driver in the kernel of {where}"
        return Failure("gpu.driver-missing", expected=wanted, found=found)
    driver = re.search(r"\d+\.\d+(\.\d+)?", DRIVER_VERSION.read_text())
    loaded = f"driver {driver[0] if driver else 'of unknown version'} is loaded"
    if in_container:
        found = f"{loaded} on the host, but this container was started without the GPU"
        return Failure("gpu.not-passed", expected=wanted, found=found)
    return Failure("gpu.tools-missing", expected=wanted, found=f"no {tool}, though {loaded}")


def torch_failure(error: Exception, expectation: str, otherwise: str) -> Failure:
    """Return what an error of torch on the GPU means; `otherwise` is the cause if the message is not known."""
    said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and re.search("no CUDA-capable device|No CUDA GPUs|invalid device ordinal", said):
        otherwise = "gpu.hidden"
        said = f"CUDA_VISIBLE_DEVICES={visible!r} hides it ({said})"
    return Failure(diagnose(TORCH, str(error), otherwise), expected=expectation, found=said)
