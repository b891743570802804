"""Does the GPU compute, and compute right?

Passes when nvidia-smi sees a GPU and torch runs kernels on it, a matrix product and an elementwise
function, whose results are those of the CPU in double precision. A library that loads is not enough:
only a launched kernel shows that torch was built for this GPU.

Where no GPU is expected (EXPECT=cpu, or EXPECT=auto and the machine has none) the verdict is skip,
and training runs on the CPU.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from checks.expectation import expected
from checks.verdict import Evidence, Failure, Verdict, conduct, parser

SIZE = 1024  # rows and columns of the matrices
# ‖out − ref‖ / ‖ref‖ against float64 on the CPU. float32 lands under 1e-5, TF32 (which the NGC image
# switches on) near 3e-4; a wrong kernel is off by about 1.
MATMUL_TOLERANCE = 2e-3
ELEMENTWISE_TOLERANCE = 1e-5
FIELDS = ["name", "driver_version", "memory.total", "compute_cap", "compute_mode"]


def ask_driver(evidence: Evidence) -> list[dict[str, str]]:
    """Return one dictionary of FIELDS for each GPU that nvidia-smi sees.

    A value may be `[N/A]`, as the memory of a GB10 is: it shares the machine's. Raises Failure.
    """
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    wanted = "nvidia-smi to see a GPU"
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as reason:
        raise Failure(
            "gpu.driver-missing",
            expected=wanted,
            found=f"nvidia-smi: {reason.strerror}: the NVIDIA driver is not installed, or not visible here",
            fix="install the NVIDIA driver; in a container: the NVIDIA Container Toolkit and --gpus all; "
            "or, if this machine has no GPU: make verify EXPECT=cpu",
        ) from reason
    except subprocess.TimeoutExpired as reason:
        raise Failure(
            "gpu.driver-hangs",
            expected=wanted,
            found="nvidia-smi did not answer in 60 s",
            fix="sudo dmesg | grep -i -e nvrm -e xid; a restart of the machine clears most of these",
        ) from reason
    evidence["nvidia_smi"] = (answer.stdout + answer.stderr).strip()
    gpus = [
        dict(zip(FIELDS, line.split(", "), strict=True))
        for line in answer.stdout.splitlines()
        if line.count(", ") == len(FIELDS) - 1
    ]
    if answer.returncode or not gpus:
        raise Failure(
            "gpu.driver-failed",
            expected=wanted,
            found=f"nvidia-smi ended with status {answer.returncode}: {evidence['nvidia_smi'] or 'no output'}",
            fix="nvidia-smi; sudo dmesg | grep -i nvrm; then reinstall the driver or restart the machine",
        )
    return gpus


def ask_torch(evidence: Evidence) -> str:
    """Return the name of the device that torch will use. Raises Failure where it has none."""
    import torch

    evidence["torch"] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "built_for": torch.cuda.get_arch_list(),
    }
    if torch.version.cuda is None:
        raise Failure(
            "gpu.torch-cpu-only",
            expected="a torch that was built for CUDA",
            found=f"torch {torch.__version__} in {Path(torch.__file__).parent} was built for the CPU alone",
            fix="use the container, or a Python whose own torch has CUDA: make verify ENGINE=local PYTHON=…",
        )
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is not None and re.search("no CUDA-capable device|No CUDA GPUs", reason):
            raise Failure(
                "gpu.hidden",
                expected="torch to see the GPU that nvidia-smi sees",
                found=f"CUDA_VISIBLE_DEVICES={visible!r} hides it ({reason})",
                fix="unset CUDA_VISIBLE_DEVICES",
            ) from error
        raise Failure(
            "gpu.torch-blind",
            expected="torch to see the GPU that nvidia-smi sees",
            found=reason,
            fix=f"update the driver to one that supports CUDA {torch.version.cuda}, or use an older base layer",
        ) from error
    return torch.cuda.get_device_name(0)


def compute(evidence: Evidence) -> None:
    """Run kernels on the GPU and compare their results with the CPU's. Raises Failure."""
    import torch

    capability = "sm_{}{}".format(*torch.cuda.get_device_capability(0))
    generator = torch.Generator().manual_seed(0)
    left, right = torch.rand(2, SIZE, SIZE, generator=generator)
    try:
        on_gpu = left.cuda(), right.cuda()
        results = {
            "matmul": ((on_gpu[0] @ on_gpu[1]).cpu(), left.double() @ right.double(), MATMUL_TOLERANCE),
            "elementwise": (
                torch.sin(on_gpu[0] * 10).cpu(),
                torch.sin(left.double() * 10),
                ELEMENTWISE_TOLERANCE,
            ),
        }
    except RuntimeError as error:
        raise Failure(
            "gpu.kernel-failed",
            expected=f"a kernel to run on {torch.cuda.get_device_name(0)} ({capability})",
            found=str(error).splitlines()[0],
            fix="use a base layer whose torch is built for this GPU; or free the GPU, if it is busy: nvidia-smi",
        ) from error
    evidence["capability"] = capability
    evidence["relative_error"] = {}
    for name, (result, reference, tolerance) in results.items():
        error = ((result.double() - reference).norm() / reference.norm()).item()
        evidence["relative_error"][name] = error
        if not error < tolerance:  # NaN, too, is wrong
            raise Failure(
                "gpu.wrong-result",
                expected=f"{name} on the GPU within {tolerance:g} of the CPU's",
                found=f"a relative error of {error:.1e}",
                fix="nvidia-smi -q -d ECC; this GPU computes wrong: do not train on it",
            )


def question(arguments: argparse.Namespace, evidence: Evidence) -> Verdict:
    """Ask the driver, then torch, then the silicon."""
    evidence["expected"] = expected()
    if evidence["expected"] == "cpu":
        evidence["torch"] = {"version": version("torch")}
        return Verdict("skip", ("no GPU is expected on this machine: training runs on the CPU",))
    gpus = evidence["gpus"] = ask_driver(evidence)
    name = ask_torch(evidence)
    compute(evidence)
    error = max(evidence["relative_error"].values())
    count = f"{len(gpus)} × " if len(gpus) > 1 else ""
    return Verdict(
        "ok",
        (
            f"{count}{name} ({evidence['capability']})",
            f"driver {gpus[0]['driver_version']}",
            f"torch {evidence['torch']['version']} CUDA {evidence['torch']['cuda']}",
            f"kernels right to {error:.0e}",
        ),
    )


def main(argv: list[str] | None = None) -> int:
    """Run the check."""
    return conduct("gpu", question, parser("gpu", __doc__).parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
