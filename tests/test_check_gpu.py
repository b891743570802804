"""check_gpu tells apart why a GPU does not compute.

The machines that run these tests need no GPU. What a driver says that is broken is replayed, as recorded on
machines where it was; docs/numbers.md has what was seen on a real one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Clone, in_namespace
from verdicts import LAB, assert_one_clear_error, evidence, injects, remedy, with_fault

from checks.gpu_errors import torch_failure

GB10 = "NVIDIA GB10, 580.95.05, [N/A], 12.1, Default"  # memory as a DGX Spark reports it
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


def with_nvidia_smi(folder: Path, answer: str, status: int) -> dict[str, str]:
    """A PATH whose nvidia-smi answers like that."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {status}\n")
    (folder / "nvidia-smi").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "EXPECT": "gpu"}


@injects("gpu.driver-not-loaded", "recorded words of nvidia-smi")
@injects("gpu.driver-mismatch", "recorded words of nvidia-smi")
@injects("gpu.lost", "recorded words of nvidia-smi, in a container after systemctl daemon-reload")
@injects("gpu.fallen-off", "recorded words of nvidia-smi")
@injects("gpu.none-found", "recorded words of nvidia-smi")
@injects("gpu.not-permitted", "recorded words of nvidia-smi")
@injects("gpu.driver-failed", "an nvidia-smi that crashes")
@pytest.mark.parametrize(
    ("cause", "status", "answer"),
    [
        (
            "gpu.driver-not-loaded",
            9,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
            "Make sure that the latest NVIDIA driver is installed and running.",
        ),
        ("gpu.driver-mismatch", 18, f"{NVML}: Driver/library version mismatch\nNVML library version: 535.104"),
        ("gpu.lost", 255, f"{NVML}: Unknown Error"),
        (
            "gpu.fallen-off",
            15,
            "Unable to determine the device handle for GPU 0000:02:00.0: GPU is lost.  "
            "Reboot the system to recover this GPU",
        ),
        ("gpu.fallen-off", 255, "Unable to determine the device handle for GPU0000:07:00.0: Unknown Error"),
        ("gpu.none-found", 6, "No devices were found"),
        ("gpu.not-permitted", 4, f"{NVML}: Insufficient Permissions"),
        ("gpu.driver-failed", 139, "Segmentation fault"),
    ],
)
def test_what_nvidia_smi_says_is_understood(lab, tmp_path, cause, status, answer):
    run = lab.run(*LAB, "checks.check_gpu", **with_nvidia_smi(tmp_path, answer, status))
    assert_one_clear_error(run, "gpu", cause)
    assert answer.split("\n")[0].split("  ")[0] in run.stderr
    assert evidence(lab, "gpu")["evidence"]["nvidia_smi"] == answer


@injects("gpu.driver-hangs", "an nvidia-smi that does not answer")
def test_nvidia_smi_that_does_not_answer(lab, tmp_path):
    setting = with_nvidia_smi(tmp_path, "", 0)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    run = with_fault(lab, "gpu", "check.DRIVER_TIMEOUT = 1", **setting)
    assert_one_clear_error(run, "gpu", "gpu.driver-hangs")


@injects("gpu.not-passed", "the recorded /proc of a host with a driver, seen from a container without --gpus all")
@injects("gpu.tools-missing", "the same, outside a container")
@pytest.mark.parametrize(("engine", "cause"), [("docker", "gpu.not-passed"), ("local", "gpu.tools-missing")])
def test_driver_without_its_tools(lab, engine, cause):
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder)"
    driver = (
        f"mount -t tmpfs tmpfs /proc/driver; mkdir /proc/driver/nvidia; echo '{version}' >/proc/driver/nvidia/version"
    )
    check = (".venv/bin/python", "-m", "checks.check_gpu")
    run = lab.run(*in_namespace(driver, *check), EXPECT="gpu", ENGINE=engine)
    assert_one_clear_error(run, "gpu", cause)
    assert "driver 580.95.05 is loaded" in run.stderr


@injects("gpu.torch-cpu-only", "torch's CPU wheel, and the recorded nvidia-smi of a GB10")
def test_torch_for_the_cpu_alone_on_a_gpu_machine(lab, tmp_path):
    run = lab.run(*LAB, "checks.check_gpu", **with_nvidia_smi(tmp_path, GB10, 0))
    assert_one_clear_error(run, "gpu", "gpu.torch-cpu-only")
    (gpu,) = evidence(lab, "gpu")["evidence"]["gpus"]
    assert (gpu["name"], gpu["memory.total"]) == ("NVIDIA GB10", "[N/A]")
    assert remedy(run) == "make verify ENGINE=docker"


@injects("gpu.torch-import", "libtorch_cpu.so cut off")
def test_torch_that_does_not_load(lab, tmp_path):
    library = next(lab.venv.glob("lib/*/site-packages/torch/lib/libtorch_cpu.so"))
    hidden = f"mount --bind /dev/null '{library}'"
    command = (".venv/bin/python", "-m", "checks.check_gpu")
    run = lab.run(*in_namespace(hidden, *command), **with_nvidia_smi(tmp_path, GB10, 0))
    assert_one_clear_error(run, "gpu", "gpu.torch-import")
    assert "libtorch_cpu.so: file too short" in run.stderr


CUDA = "CUDA kernel errors might be asynchronously reported at some other API call"


@injects("gpu.driver-old", "recorded words of torch")
@injects("gpu.fabric-manager", "recorded words of torch")
@injects("gpu.busy", "recorded words of torch, on a GPU that another process has in exclusive mode")
@injects("gpu.out-of-memory", "recorded words of torch")
@injects("gpu.architecture", "recorded words of torch")
@injects("gpu.hidden", "recorded words of torch; by CUDA_VISIBLE_DEVICES= on a GPU machine")
@injects("gpu.torch-blind", "recorded words of torch")
@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("gpu.driver-old", "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU"),
        ("gpu.driver-old", "Error 804: forward compatibility was attempted on non supported HW"),
        ("gpu.driver-mismatch", "Error 803: system has unsupported display driver / cuda driver combination"),
        ("gpu.fabric-manager", "Unexpected error from cudaGetDeviceCount(). … Error 802: system not yet initialized"),
        ("gpu.busy", f"CUDA error: CUDA-capable device(s) is/are busy or unavailable\n{CUDA}"),
        ("gpu.out-of-memory", f"CUDA error: out of memory\n{CUDA}"),
        ("gpu.architecture", f"CUDA error: no kernel image is available for execution on the device\n{CUDA}"),
        ("gpu.architecture", "nvrtc: error: invalid value for --gpu-architecture (-arch)"),
        ("gpu.hidden", "No CUDA GPUs are available"),
        ("gpu.torch-blind", "CUDA unknown error - this may be due to an incorrectly set up environment"),
    ],
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


PRETENDED_GPU = """
    import torch
    torch.version.cuda, torch.cuda.init = "13.0", lambda: None
    torch.cuda.get_device_name = lambda index: "a pretended GPU"
    torch.cuda.get_device_capability = lambda index: (12, 1)
    torch.cuda.jiterator._create_jit_fn = lambda code: lambda x: torch.sin(x * 10)
    torch.Tensor.cuda = lambda self: {cuda}
"""


def on_pretended_gpu(lab: Clone, folder: Path, cuda: str):
    """The CPU in the place of the GPU: one that computes wrong, or breaks, is not to be had."""
    return with_fault(lab, "gpu", PRETENDED_GPU.format(cuda=cuda), **with_nvidia_smi(folder, GB10, 0))


@injects("gpu.wrong-result", "a pretended GPU that rounds to one decimal")
def test_gpu_that_computes_wrong(lab, tmp_path):
    run = on_pretended_gpu(lab, tmp_path, "(self * 10).round() / 10")
    assert_one_clear_error(run, "gpu", "gpu.wrong-result")
    assert evidence(lab, "gpu")["evidence"]["relative_error"]["matmul"] > 1e-3


@injects("gpu.kernel-failed", "a pretended GPU with the recorded words of torch on a broken one")
def test_gpu_that_breaks(lab, tmp_path):
    raising = '(_ for _ in ()).throw(RuntimeError("CUDA error: uncorrectable ECC error encountered"))'
    run = on_pretended_gpu(lab, tmp_path, raising)
    assert_one_clear_error(run, "gpu", "gpu.kernel-failed")
    assert "uncorrectable ECC error" in run.stderr
    assert "Traceback" in evidence(lab, "gpu")["traceback"]


def test_gpu_that_computes_right(lab, tmp_path):
    run = on_pretended_gpu(lab, tmp_path, "self")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("ok        gpu      a pretended GPU (sm_121) · driver 580.95.05 · ")
