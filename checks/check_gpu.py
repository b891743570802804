"""Does the GPU compute, and compute right?

Passes when nvidia-smi sees a GPU and torch runs kernels on it, a matrix product, an elementwise function and
one that is compiled for it now, whose results are those of the CPU in double precision. A library that loads
is not enough: only a launched kernel shows that torch was built for this GPU.

Of several GPUs it asks the first that CUDA_VISIBLE_DEVICES leaves visible, which is the one that trains, and claims no
other.

Where no GPU is expected (EXPECT=cpu, or EXPECT=auto and the machine has none) the verdict is skip,
and training runs on the CPU.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from subprocess import TimeoutExpired

from checks import outside
from checks.arguments import parser
from checks.causes import Failure
from checks.expectation import expected
from checks.gpu_errors import NVIDIA_SMI, diagnose, missing, torch_failure
from checks.verdict import Evidence, Verdict, conduct

DRIVER_TIMEOUT = 60  # seconds
SIZE = 1024  # rows and columns of the matrices
# ‖out − ref‖ / ‖ref‖ against float64 on the CPU. float32 lands under 1e-5, TF32 (which the NGC image
# switches on) near 3e-4; a wrong kernel is off by about 1.
MATMUL_TOLERANCE = 2e-3
ELEMENTWISE_TOLERANCE = 1e-5
FIELDS = ["name", "driver_version", "memory.total", "compute_cap", "compute_mode", "uuid"]


def ask_driver(evidence: Evidence) -> list[dict[str, str]]:
    """Return one dictionary of FIELDS for each GPU that nvidia-smi sees.

    A value may be `[N/A]`, as the memory of a GB10 is: it shares the machine's. Raises Failure.
    """
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = outside.run(command, DRIVER_TIMEOUT)
    except OSError as reason:
        raise missing("nvidia-smi") from reason
    except TimeoutExpired as reason:
        found = f"nvidia-smi did not answer in {DRIVER_TIMEOUT} s"
        raise Failure("gpu.driver-hangs", expected="nvidia-smi to see a GPU", found=found) from reason
    said = evidence["nvidia_smi"] = (answer.stdout + answer.stderr).strip()
    gpus = [
        dict(zip(FIELDS, line.split(", "), strict=True))
        for line in answer.stdout.splitlines()
        if line.count(", ") == len(FIELDS) - 1
    ]
    if answer.returncode or not gpus:
        cause = diagnose(NVIDIA_SMI, said, "gpu.driver-failed")
        found = f"nvidia-smi ended with status {answer.returncode}: {' '.join(said.split()) or 'no output'}"
        raise Failure(cause, expected="nvidia-smi to see a GPU", found=found)
    return gpus


def ask_torch(evidence: Evidence) -> str:
    """Return the name of the device that torch will use. Raises Failure where it has none."""
    try:
        import torch
    except (ImportError, OSError) as reason:
        raise Failure("gpu.torch-import", expected="to import torch", found=str(reason).strip()) from reason
    evidence["torch"] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "built_for": torch.cuda.get_arch_list(),
    }
    if torch.version.cuda is None:
        found = f"torch {torch.__version__} in {Path(torch.__file__).parent} was built for the CPU alone"
        raise Failure("gpu.torch-cpu-only", expected="a torch that was built for CUDA", found=found)
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        raise torch_failure(error, "torch to see the GPU that nvidia-smi sees", "gpu.torch-blind") from error
    return torch.cuda.get_device_name(0)


def compute(evidence: Evidence) -> None:
    """Run kernels on the GPU, two of torch's own and one compiled now; compare with the CPU. Raises Failure."""
    import torch

    evidence["capability"] = capability = "sm_{}{}".format(*torch.cuda.get_device_capability(0))
    left, right = torch.rand(2, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    compiled = torch.cuda.jiterator._create_jit_fn("template <typename T> T wave(T x) { return sin(x * T(10)); }")
    kernels = {
        "matmul": (lambda a, b: a @ b, left.double() @ right.double(), MATMUL_TOLERANCE),
        "elementwise": (lambda a, b: torch.sin(a * 10), torch.sin(left.double() * 10), ELEMENTWISE_TOLERANCE),
        "compiled": (lambda a, b: compiled(a), torch.sin(left.double() * 10), ELEMENTWISE_TOLERANCE),
    }
    evidence["relative_error"] = {}
    for name, (kernel, reference, tolerance) in kernels.items():
        try:
            result = kernel(left.cuda(), right.cuda()).cpu()
        except RuntimeError as error:
            expectation = f"the kernel {name} to run on {torch.cuda.get_device_name(0)} ({capability})"
            raise torch_failure(error, expectation, "gpu.kernel-failed") from error
        error = ((result.double() - reference).norm() / reference.norm()).item()
        evidence["relative_error"][name] = error
        if not error < tolerance:  # NaN, too, is wrong
            raise Failure(
                "gpu.wrong-result",
                expected=f"{name} on the GPU within {tolerance:g} of the CPU's",
                found=f"a relative error of {error:.1e}",
            )


def which(gpus: list[dict[str, str]], evidence: Evidence) -> str:
    """Return which of several GPUs has been asked; nothing where there is but one."""
    import torch

    own = getattr(torch.cuda.get_device_properties(0), "uuid", None)  # torch 2.3 has none
    evidence["uuid"] = own and f"GPU-{own}"
    if len(gpus) == 1:
        return ""
    number = next((str(index) for index, gpu in enumerate(gpus) if gpu["uuid"] == evidence["uuid"]), "one")
    return f", GPU {number} alone of the {len(gpus)} here"


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
    return Verdict(
        "ok",
        (
            f"{name} ({evidence['capability']}){which(gpus, evidence)}",
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
