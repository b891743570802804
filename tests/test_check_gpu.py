"""check_gpu tells apart why a GPU does not compute.

The machines that run these tests need no GPU. What a driver says that is broken is replayed, as recorded on
machines where it was; docs/numbers.md has what was seen on a real one.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT, base_torch, in_namespace
from verdicts import LAB, ask, assert_one_clear_error, each_injected, evidence, injects, remedy

from checks import check_gpu
from checks.gpu_errors import torch_failure

# Memory as a DGX Spark reports it.
GB10 = "NVIDIA GB10, 580.95.05, [N/A], 12.1, Default, GPU-0b1f5ae2-35a4-8f0c-fb4d-f2cd5f9f2b1c"
H100 = "NVIDIA H100 80GB HBM3, 580.159.04, 81559, 9.0, Default, GPU-{}"
FIRST, SECOND = "5d1a7a8e-0d3a-6c0c-2a55-0b0e0a9d1c11", "c2f9b7d4-7f21-9a3e-4a10-6f3f8a3b2e22"
NVML = "Failed to initialize NVML"


def test_gpu_is_skipped_where_none_is_expected(lab):
    run = lab.ok(*LAB, "checks", "gpu", EXPECT="cpu")
    assert run.stdout == "skip      gpu      no GPU is expected on this machine: training runs on the CPU\n"
    assert evidence(lab, "gpu")["verdict"] == "skip"


@injects("gpu.driver-missing", "this machine, with EXPECT=gpu", "make verify EXPECT=cpu")
@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")
def test_gpu_that_is_expected_and_not_there(lab):
    run = lab.run(*LAB, "checks.check_gpu", EXPECT="gpu")
    assert_one_clear_error(run, "gpu", "gpu.driver-missing")
    assert evidence(lab, "gpu")["finding"]["cause"] == "gpu.driver-missing"
    assert run.stderr.rstrip().endswith("make verify EXPECT=cpu")
    assert lab.ok("make", "check-gpu", EXPECT="cpu").stdout.splitlines()[-1].startswith("skip ")


def with_nvidia_smi(answer: str, status: int = 0) -> dict[str, str]:
    """The environment of a machine that should have a GPU, whose nvidia-smi answers like that."""
    path = f"{ROOT}/tests/faults/bin:{os.environ['PATH']}"
    return {"EXPECT": "gpu", "PATH": path, "ANSWER": answer, "STATUS": str(status)}


@each_injected
@injects(
    "gpu.driver-not-loaded",
    "recorded words of nvidia-smi",
    status=9,
    answer="NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.",
)
@injects(
    "gpu.driver-mismatch",
    "recorded words of nvidia-smi",
    status=18,
    answer=f"{NVML}: Driver/library version mismatch\nNVML library version: 535.104",
)
@injects(
    "gpu.lost",
    "recorded words of nvidia-smi, in a container after systemctl daemon-reload",
    status=255,
    answer=f"{NVML}: Unknown Error",
)
@injects(
    "gpu.fallen-off",
    "recorded words of nvidia-smi",
    status=15,
    answer="Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.  "
    "Reboot the system to recover this GPU",
)
@injects(
    "gpu.fallen-off",
    "recorded words of nvidia-smi",
    status=255,
    answer="Unable to determine the device handle for GPU0000:07:00.0: Unknown Error",
)
@injects("gpu.none-found", "recorded words of nvidia-smi", status=6, answer="No devices were found")
@injects("gpu.not-permitted", "recorded words of nvidia-smi", status=4, answer=f"{NVML}: Insufficient Permissions")
@injects("gpu.driver-failed", "an nvidia-smi that crashes", status=139, answer="Segmentation fault")
def test_what_nvidia_smi_says_is_understood(cause, status, answer):
    run = ask(check_gpu, **with_nvidia_smi(answer, status))
    assert_one_clear_error(run, "gpu", cause)
    assert answer.split("\n")[0].split("  ")[0] in run.stderr
    assert run.record["evidence"]["nvidia_smi"] == answer


@injects("gpu.driver-hangs", "an nvidia-smi that does not answer")
def test_nvidia_smi_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(check_gpu, "DRIVER_TIMEOUT", 0.2)
    assert_one_clear_error(ask(check_gpu, **with_nvidia_smi("")), "gpu", "gpu.driver-hangs")


@each_injected
@injects(
    "gpu.not-passed",
    "the recorded /proc of a host with a driver, seen from a container without --gpus all",
    engine="docker",
)
@injects("gpu.tools-missing", "the same, outside a container", engine="local")
def test_driver_without_its_tools(lab, cause, engine):
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder)"
    driver = (
        f"mount -t tmpfs tmpfs /proc/driver; mkdir /proc/driver/nvidia; echo '{version}' >/proc/driver/nvidia/version"
    )
    check = (".venv/bin/python", "-m", "checks.check_gpu")
    run = lab.run(*in_namespace(driver, *check), EXPECT="gpu", ENGINE=engine)
    assert_one_clear_error(run, "gpu", cause)
    assert "driver 580.95.05 is loaded" in run.stderr


@injects("gpu.torch-cpu-only", "torch's CPU wheel, and the recorded nvidia-smi of a GB10")
def test_torch_for_the_cpu_alone_on_a_gpu_machine(lab):
    run = lab.run(*LAB, "checks.check_gpu", **with_nvidia_smi(GB10))
    assert_one_clear_error(run, "gpu", "gpu.torch-cpu-only")
    (gpu,) = evidence(lab, "gpu")["evidence"]["gpus"]
    assert (gpu["name"], gpu["memory.total"]) == ("NVIDIA GB10", "[N/A]")
    assert remedy(run) == "make verify ENGINE=docker"


@injects("gpu.torch-import", "libtorch_cpu.so cut off")
def test_torch_that_does_not_load(lab):
    hidden = f"mount --bind /dev/null '{base_torch(lab)[1]}/torch/lib/libtorch_cpu.so'"
    command = (".venv/bin/python", "-m", "checks.check_gpu")
    run = lab.run(*in_namespace(hidden, *command), **with_nvidia_smi(GB10))
    assert_one_clear_error(run, "gpu", "gpu.torch-import")
    assert "libtorch_cpu.so: file too short" in run.stderr


CUDA = "CUDA kernel errors might be asynchronously reported at some other API call"


@each_injected
@injects(
    "gpu.driver-old",
    "recorded words of torch",
    said="The NVIDIA driver on your system is too old (found version 11040). Please update your GPU",
)
@injects(
    "gpu.driver-old",
    "recorded words of torch",
    said="Error 804: forward compatibility was attempted on non supported HW",
)
@injects(
    "gpu.driver-mismatch",
    "recorded words of torch",
    said="Error 803: system has unsupported display driver / cuda driver combination",
)
@injects(
    "gpu.fabric-manager",
    "recorded words of torch",
    said="Unexpected error from cudaGetDeviceCount(). … Error 802: system not yet initialized",
)
@injects(
    "gpu.busy",
    "recorded words of torch, on a GPU that another process has in exclusive mode",
    said=f"CUDA error: CUDA-capable device(s) is/are busy or unavailable\n{CUDA}",
)
@injects("gpu.out-of-memory", "recorded words of torch", said=f"CUDA error: out of memory\n{CUDA}")
@injects(
    "gpu.architecture",
    "recorded words of torch",
    said=f"CUDA error: no kernel image is available for execution on the device\n{CUDA}",
)
@injects(
    "gpu.architecture",
    "recorded words of torch",
    said="nvrtc: error: invalid value for --gpu-architecture (-arch)",
)
@injects(
    "gpu.hidden",
    "recorded words of torch; by CUDA_VISIBLE_DEVICES= on a GPU machine",
    said="No CUDA GPUs are available",
)
@injects(
    "gpu.torch-blind",
    "recorded words of torch",
    said="CUDA unknown error - this may be due to an incorrectly set up environment",
)
def test_what_torch_says_is_understood(monkeypatch, cause, said):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    finding = torch_failure(RuntimeError(said), "a GPU", "gpu.torch-blind").finding
    assert finding.cause == cause
    assert said.splitlines()[0] in finding.found
    assert finding.fix


def test_hiding_variable_is_blamed_only_if_it_is_set(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    error = RuntimeError("No CUDA GPUs are available")
    assert torch_failure(error, "a GPU", "gpu.torch-blind").finding.cause == "gpu.torch-blind"


@pytest.fixture
def pretended_gpu(monkeypatch):
    """The CPU in the place of the GPU: one that computes wrong, or breaks, is not to be had.

    Gives a function that asks the check there; `cuda` is what becomes of a tensor that is sent to the GPU.
    """
    for target, value in (
        ("torch.version.cuda", "13.0"),
        ("torch.cuda.init", lambda: None),
        ("torch.cuda.get_device_name", lambda index: "a pretended GPU"),
        ("torch.cuda.get_device_properties", lambda index: SimpleNamespace(uuid=SECOND)),
        ("torch.cuda.get_device_capability", lambda index: (12, 1)),
        ("torch.cuda.jiterator._create_jit_fn", lambda code: lambda x: torch.sin(x * 10)),
    ):
        monkeypatch.setattr(target, value)

    def ask_there(cuda, gpus=GB10):
        monkeypatch.setattr(torch.Tensor, "cuda", cuda)
        return ask(check_gpu, **with_nvidia_smi(gpus))

    return ask_there


@injects("gpu.wrong-result", "a pretended GPU that rounds to one decimal")
def test_gpu_that_computes_wrong(pretended_gpu):
    run = pretended_gpu(lambda tensor: tensor.round(decimals=1))
    assert_one_clear_error(run, "gpu", "gpu.wrong-result")
    assert run.record["evidence"]["relative_error"]["matmul"] > 1e-3


@injects("gpu.kernel-failed", "a pretended GPU with the recorded words of torch on a broken one")
def test_gpu_that_breaks(pretended_gpu):
    def broken(tensor):
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered")

    run = pretended_gpu(broken)
    assert_one_clear_error(run, "gpu", "gpu.kernel-failed")
    assert "uncorrectable ECC error" in run.stderr
    assert "Traceback" in run.record["traceback"]


def test_gpu_that_computes_right(pretended_gpu):
    run = pretended_gpu(lambda tensor: tensor)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("ok        gpu      a pretended GPU (sm_121) · driver 580.95.05 · ")


def test_of_several_gpus_the_one_that_computed_is_named(pretended_gpu):
    """Both rows as recorded on a host of two, with CUDA_VISIBLE_DEVICES=1."""
    run = pretended_gpu(lambda tensor: tensor, "\n".join(H100.format(uuid) for uuid in (FIRST, SECOND)))
    assert run.stdout.startswith("ok        gpu      a pretended GPU (sm_121), GPU 1 alone of the 2 here · driver ")
    assert run.record["evidence"]["uuid"] == f"GPU-{SECOND}"
