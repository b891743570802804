"""docker/dev.sh, the one door into the lab: exit statuses, terminals, wrong settings, machines with a GPU."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, in_namespace, on_terminal

FAKE_GPU = """mount -t tmpfs tmpfs /sys/bus/pci/devices
mkdir /sys/bus/pci/devices/0000:01:00.0
echo 0x10de >/sys/bus/pci/devices/0000:01:00.0/vendor
echo 0x030200 >/sys/bus/pci/devices/0000:01:00.0/class"""


ENGINES = sorted(path.stem for path in (ROOT / "docker/engines").iterdir())


@pytest.mark.parametrize("status", [0, 1, 7, 130])
def test_exit_status_comes_back(lab, status):
    assert lab.run("docker/dev.sh", "bash", "-c", f"exit {status}").returncode == status


def test_arguments_arrive_as_they_are(lab):
    words = ["two words", "*", "$HOME", 'a "quote"', ""]
    run = lab.ok("docker/dev.sh", "python", "-c", "import sys; print(sys.argv[1:])", *words)
    assert run.stdout.strip() == str(words)


def test_command_runs_in_the_venv(lab):
    assert lab.ok("docker/dev.sh", "which", "python").stdout.strip() == str(lab.venv / "bin/python")


def test_command_that_is_not_there(lab):
    assert lab.run("docker/dev.sh", "nosuch").returncode == 127


def test_commands_from_a_pipe(lab):
    run = subprocess.run(
        ["bash", "docker/dev.sh"],
        input="which python\nexit 5\n",
        cwd=lab.path,
        env=lab.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout.strip()) == (5, str(lab.venv / "bin/python"))


def test_shell_on_a_terminal_has_the_venv_active(lab):
    status, screen = on_terminal(lab, ["bash", "docker/dev.sh"], "which python; echo $VIRTUAL_ENV:$?\nexit 5\n")
    assert status == 5
    assert str(lab.venv / "bin/python") in screen
    assert f"{lab.venv}:0" in screen
    assert "(robotics-lab)" in screen


def test_users_bashrc_does_not_come_before_the_venv(lab, tmp_path):
    (tmp_path / ".bashrc").write_text("export PATH=/usr/bin:$PATH\n")
    lab.environment["HOME"], home = str(tmp_path), lab.environment["HOME"]
    try:
        _, screen = on_terminal(lab, ["bash", "docker/dev.sh"], "which python\nexit\n")
    finally:
        lab.environment["HOME"] = home
    assert str(lab.venv / "bin/python") in screen, screen


def test_door_works_from_inside_the_lab(lab):
    run = lab.ok("docker/dev.sh", "env", "PYTHON=python3", "make", "venv")
    assert "building" not in run.stderr and "ok        venv " in run.stdout


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"EXPECT": "banana"}, "error: EXPECT=banana is not one of auto, gpu, cpu\nfix: EXPECT=auto\n"),
        ({"ENGINE": "lxc"}, f"error: ENGINE=lxc is not one of auto, {', '.join(ENGINES)}, local\nfix: ENGINE=auto\n"),
        *(
            (
                {"STEPS": steps},
                f"error: STEPS={steps} is not a multiple of 8, the number of environments\nfix: STEPS=2000",
            )
            for steps in ("0", "-8", "2001", "many")
        ),
        ({"STRICT": "yes"}, "error: STRICT=yes is not 0 or 1\nfix: STRICT=1\n"),
    ],
)
def test_wrong_setting_is_wrong_usage(clone, setting, message):
    run = clone.run("docker/dev.sh", "true", **setting)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(message) and run.stderr.count("\n") == 2
    assert not clone.venv.exists()


def test_gpu_machine_is_never_quietly_verified_outside_a_container(clone):
    run = clone.run(*in_namespace(FAKE_GPU, "make", "verify"), ENGINE="auto")
    assert run.returncode != 0
    assert "error: this machine has an NVIDIA GPU (PCI device 0000:01:00.0)" in run.stderr
    assert "ENGINE=local" in run.stderr
    assert not clone.venv.exists()


def test_gpu_machine_expects_a_gpu(lab):
    run = lab.ok(*in_namespace(FAKE_GPU, "docker/dev.sh", "bash", "-c", "echo $EXPECT"))
    assert run.stdout == "gpu\n"
    run = lab.ok(
        *in_namespace(FAKE_GPU, "docker/dev.sh", "bash", "-c", "echo $EXPECT $ENGINE"), EXPECT="cpu", ENGINE="auto"
    )
    assert run.stdout == "cpu local\n"


def test_sound_function_of_a_gpu_is_no_gpu(lab):
    mounts = FAKE_GPU.replace("0x030200", "0x040300")
    assert lab.ok(*in_namespace(mounts, "docker/dev.sh", "bash", "-c", "echo $EXPECT")).stdout == "cpu\n"


def test_machine_without_a_gpu_expects_none(lab):
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    assert lab.ok("docker/dev.sh", "bash", "-c", "echo $EXPECT $ENGINE", ENGINE="auto").stdout == "cpu local\n"


def test_variables_that_a_container_is_given_are_documented():
    (listed,) = re.findall(r"^HANDED_IN=\((.*?)\)", (ROOT / "docker/dev.sh").read_text(), re.MULTILINE | re.DOTALL)
    page = (ROOT / "docs/variables.md").read_text().partition("A container is also given")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", page)) == set(listed.split())


def test_lab_image_of_the_users_own_is_not_the_labs_container(clone):
    mine = {"LAB_IMAGE": "registry.example/lab", "ENGINE": "auto"}
    run = clone.run(*in_namespace(FAKE_GPU, "make", "verify"), **mine)
    assert "error: this machine has an NVIDIA GPU (PCI device 0000:01:00.0)" in run.stderr, run.stdout + run.stderr
    run = clone.run("docker/dev.sh", "true", STEPS="7", **mine)
    assert run.stderr.startswith("error: STEPS=7 is not a multiple of 8")
    assert not clone.venv.exists()
