"""The checks go red when they should, say why, and leave nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import zipfile
from pathlib import Path

import imageio.v3 as imageio
import pytest
from conftest import Clone, in_namespace

LAB = ("docker/dev.sh", "python", "-m")
SHORT = ("--n-envs", "2", "--total-steps", "400")


def evidence(lab: Clone, check: str) -> dict:
    return json.loads((lab.path / f"proof/{check}.json").read_text())


def assert_one_clear_error(run: subprocess.CompletedProcess, check: str, cause: str) -> None:
    """Expected, found, fix: each once, and no traceback."""
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count(f"error: {check}: expected ") == 1, run.stderr
    assert run.stderr.count(f"[{cause}]\n") == 1, run.stderr
    assert run.stderr.count("\nfix: ") == 1
    assert "Traceback" not in run.stderr


def hidden_files(lab: Clone) -> list[str]:
    return sorted(path.name for path in lab.path.glob(".*-*.*"))


# gpu


def test_gpu_is_skipped_where_none_is_expected(lab):
    run = lab.ok(*LAB, "checks", "gpu", EXPECT="cpu")
    assert run.stdout == "skip      gpu      no GPU is expected on this machine: training runs on the CPU\n"
    assert evidence(lab, "gpu")["verdict"] == "skip"


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")
def test_gpu_that_is_expected_and_not_there_is_a_failure(lab):
    run = lab.run(*LAB, "checks.check_gpu", EXPECT="gpu")
    assert_one_clear_error(run, "gpu", "gpu.driver-missing")
    assert evidence(lab, "gpu")["verdict"] == "fail"
    assert evidence(lab, "gpu")["finding"]["cause"] == "gpu.driver-missing"


def with_nvidia_smi(folder: Path, answer: str, status: int) -> dict[str, str]:
    """A PATH whose nvidia-smi answers like that: a driver is what the machines that run these tests lack."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\necho '{answer}'\nexit {status}\n")
    (folder / "nvidia-smi").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "EXPECT": "gpu"}


def test_driver_that_fails_is_told_from_one_that_is_missing(lab, tmp_path):
    answer = "NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver."
    run = lab.run(*LAB, "checks.check_gpu", **with_nvidia_smi(tmp_path, answer, 9))
    assert_one_clear_error(run, "gpu", "gpu.driver-failed")
    assert answer in run.stderr


def test_torch_for_the_cpu_alone_on_a_gpu_machine(lab, tmp_path):
    if "+cpu" not in lab.ok("cat", ".venv/.proof").stdout:
        pytest.skip("this venv's torch has CUDA")
    answer = "NVIDIA GB10, 580.95.05, [N/A], 12.1, Default"  # memory as a DGX Spark reports it
    run = lab.run(*LAB, "checks.check_gpu", **with_nvidia_smi(tmp_path, answer, 0))
    assert_one_clear_error(run, "gpu", "gpu.torch-cpu-only")
    (gpu,) = evidence(lab, "gpu")["evidence"]["gpus"]
    assert (gpu["name"], gpu["memory.total"]) == ("NVIDIA GB10", "[N/A]")


# mujoco


def test_mujoco_evidence(lab):
    lab.ok(*LAB, "checks", "mujoco")
    record = evidence(lab, "mujoco")
    assert record["verdict"] == "ok"
    assert len(record["evidence"]["steps"]) == 8
    assert record["evidence"]["same_seed_difference"] == 0.0


def test_mujoco_that_does_not_fit_names_the_versions(lab, tmp_path):
    """The real 3.12.0, which a resolve without our bound would take."""
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), "mujoco==3.12.0"]
    lab.ok(".venv/bin/python", *pip)
    run = lab.run(".venv/bin/python", "-m", "checks.check_mujoco", PYTHONPATH=str(tmp_path))
    assert_one_clear_error(run, "mujoco", "mujoco.version-mismatch")
    assert "mujoco 3.12.0" in run.stderr and "mujoco<3.12" in run.stderr


# render


def test_render_draws_the_robot(lab, tmp_path):
    out = tmp_path / "a frame.png"
    lab.ok(*LAB, "checks", "render", "--out", str(out))
    assert imageio.imread(out).shape == (480, 480, 3)
    record = evidence(lab, "render")
    assert record["evidence"]["robot_pixels"] > 10_000
    assert record["evidence"]["renderer"]
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("setting", [{"MUJOCO_GL": "glx"}, {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"}])
def test_wrong_gl_variable_is_named(lab, setting):
    run = lab.run(*LAB, "checks", "render", **setting)
    assert_one_clear_error(run, "render", "render.variable")
    assert f"MUJOCO_GL={setting['MUJOCO_GL']}" in run.stderr
    assert "fix: unset MUJOCO_GL PYOPENGL_PLATFORM" in run.stderr


def test_wrong_egl_device_is_named(lab):
    run = lab.ok(*LAB, "checks", "render", MUJOCO_EGL_DEVICE_ID="7")
    assert run.stdout.startswith("degraded  render   osmesa · ")
    assert "fix: unset MUJOCO_EGL_DEVICE_ID" in run.stderr


def test_osmesa_where_egl_is_missing_is_degraded_and_strict_fails(lab):
    hidden = 'for it in $(/sbin/ldconfig -p | sed -n "s/.*libEGL.so.1.* => //p"); do mount --bind /dev/null $it; done'
    run = lab.ok(*in_namespace(hidden, *LAB, "checks", "render"))
    assert run.stdout.startswith("degraded  render   osmesa · ")
    assert "[render.fallback]" in run.stderr and "MUJOCO_GL=osmesa" in run.stderr
    assert lab.run(*in_namespace(hidden, *LAB, "checks", "render"), STRICT="1").returncode == 1


def test_software_drawing_on_a_gpu_machine_is_degraded(lab):
    run = lab.ok(*LAB, "checks", "render", EXPECT="gpu")
    if "NVIDIA" in run.stdout:
        pytest.skip("the GPU draws here")
    assert run.stdout.startswith("degraded  render   egl · llvmpipe")
    assert "[render.software-on-gpu]" in run.stderr


# train


def test_training_that_does_not_learn_is_a_failure(lab, tmp_path):
    """All of PPO runs, and the learning rate is nothing: only the comparison with the untrained policy tells."""
    program = (
        "import sys, stable_baselines3 as sb3, checks.check_train as c\n"
        "class Lazy(sb3.PPO):\n"
        "    def __init__(self, *args, **kwargs): super().__init__(*args, learning_rate=1e-7, **kwargs)\n"
        "sb3.PPO = Lazy\n"
        "c.LEARNS_WITHIN = 2000  # learning takes 50,000, not learning shows sooner\n"
        f"sys.exit(c.main(['--total-steps', '2000', '--out', {str(tmp_path / 'lazy.zip')!r}]))\n"
    )
    run = lab.run("docker/dev.sh", "python", "-c", program)
    assert_one_clear_error(run, "train", "train.not-learning")
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_is_trained_for_exactly_the_steps_asked_for(lab, tmp_path):
    out = tmp_path / "short.zip"
    run = lab.ok(*LAB, "checks", "ppo-smoke", "--n-envs", "4", "--total-steps", "2000", "--out", str(out))
    assert run.stdout.startswith("ok        train    PPO 2,000 steps on cpu · ")
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("data"))["num_timesteps"] == 2000
    record = evidence(lab, "train")["evidence"]
    assert record["replay"] == {"largest_action_difference": 0.0, "timesteps": 2000}
    assert list(Path(record["tensorboard"]).glob("events.out.tfevents.*"))
    assert list(tmp_path.iterdir()) == [out]


def test_same_seed_trains_the_same_policy(lab, tmp_path):
    curves = []
    for _ in range(2):
        lab.ok(*LAB, "checks", "ppo-smoke", "--total-steps", "2000", "--out", str(tmp_path / "short.zip"))
        record = evidence(lab, "train")["evidence"]
        curves.append((record["learning_curve"], record["largest_parameter_change"], record["mean_return"]))
    assert curves[0] == curves[1]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_training_leaves_the_earlier_checkpoint(lab, tmp_path, ending):
    out = tmp_path / "ppo.zip"
    out.write_bytes(b"an earlier, good checkpoint")
    process = lab.start(*LAB, "checks", "ppo-smoke", "--total-steps", "40000", "--out", str(out))
    assert "train: 2,000 of 40,000" in next(line for line in process.stderr if line.startswith("train: "))
    os.killpg(process.pid, ending)
    err = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    assert out.read_bytes() == b"an earlier, good checkpoint"
    if ending != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == [out]
        assert "Traceback" not in err


def test_full_disk_leaves_the_earlier_checkpoint(lab, tmp_path):
    mount = f"mount -t tmpfs -o size=100k tmpfs '{tmp_path}'; echo good >'{tmp_path}/ppo.zip'"
    script = f'"$@"; status=$?; cat "{tmp_path}/ppo.zip"; ls -A "{tmp_path}"; exit $status'
    command = (*LAB, "checks", "ppo-smoke", *SHORT, "--out", f"{tmp_path}/ppo.zip")
    run = lab.run(*in_namespace(mount, "bash", "-c", script, "bash", *command))
    assert_one_clear_error(run, "train", "output.unwritable")
    assert "No space left on device" in run.stderr
    assert run.stdout == "good\nppo.zip\n"


# the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["ppo-smoke", "--n-envs", "0"],
        ["ppo-smoke", "--n-envs", "two"],
        ["ppo-smoke", "--total-steps", "-5"],
        ["ppo-smoke", "--total-steps", "50001"],
        ["ppo-smoke", "--out", "/tmp"],
        ["ppo-smoke", "--out", "/tmp/policy.pt"],
        ["render", "--out", "/tmp"],
        ["render", "--nosuch"],
        ["gpu", "--out", "x"],
        ["all", "--fast"],
        ["nosuch"],
        [],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_one_line(lab, arguments):
    run = lab.run(*LAB, "checks", *arguments)
    assert run.returncode == 2
    assert run.stderr.startswith("usage: ")
    assert run.stderr.count("error: ") == 1
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("check", ["render", "ppo-smoke"])
def test_output_that_cannot_be_written_is_found_first(lab, check):
    suffix = {"render": "png", "ppo-smoke": "zip"}[check]
    run = lab.run(*LAB, "checks", check, "--out", f"/proc/nosuch/out.{suffix}")
    assert_one_clear_error(run, {"render": "render", "ppo-smoke": "train"}[check], "output.unwritable")
    assert "train: " not in run.stderr.replace("error: train: ", "")


def test_wrong_expectation_without_the_door(lab):
    run = lab.run(".venv/bin/python", "-m", "checks.check_gpu", EXPECT="banana")
    assert (run.returncode, run.stderr) == (2, "error: EXPECT=banana is not one of auto, gpu, cpu\nfix: EXPECT=auto\n")


def test_list_envs_lists_what_can_be_made(lab):
    listed = lab.ok(*LAB, "checks", "list-envs").stdout.split()
    assert "FetchReach-v4" in listed and "FetchPickAndPlaceDense-v4" in listed
    assert not [name for name in listed if name.endswith("-v1")]  # those need mujoco_py, which is gone


def test_all_stops_at_the_first_failure(lab):
    run = lab.run(*LAB, "checks", "all", EXPECT="gpu")
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU")
    assert run.returncode == 1
    assert run.stdout == "" and "mujoco" not in run.stderr


@pytest.mark.parametrize("check", ["gpu", "mujoco", "render", "train"])
def test_every_check_explains_itself(lab, check):
    run = lab.ok(*LAB, f"checks.check_{check}", "--help")
    assert "Passes when" in run.stdout


def test_unforeseen_cause_keeps_its_traceback_in_the_evidence(lab):
    """A name that Python cannot look up: nothing a check could know of."""
    code = "import sys, checks.check_mujoco as c; c.check_registry = None; sys.exit(c.main([]))"
    run = lab.run("docker/dev.sh", "python", "-c", code)
    assert_one_clear_error(run, "mujoco", "mujoco.unforeseen")
    assert "TypeError" in evidence(lab, "mujoco")["traceback"]


def test_evidence_that_cannot_be_written_is_a_failure(lab):
    mount = "mkdir -p proof; mount -t tmpfs -o ro tmpfs proof"
    run = lab.run(*in_namespace(mount, *LAB, "checks", "gpu"))
    assert_one_clear_error(run, "gpu", "output.unwritable")
