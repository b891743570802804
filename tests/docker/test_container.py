"""The door into the container: users, terminals, signals, and what can be written to."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import bare_python, on_terminal, torch_wheel
from engines import BASE, boxed, docker
from verdicts import remedy

UIDS = [0, 1000, 12345]


def containers(host: str) -> str:
    return docker(host, "ps", "--quiet")


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize("uid", UIDS)
def test_any_uid_works_and_owns_what_it_makes(place, daemon, box, uid):
    clone = boxed(place / f"clone of {uid}", daemon, uid)
    said = clone.inside("whoami; id -u; id -g; pwd; which python; touch $HOME/x && echo home")
    name = "root" if uid == 0 else "lab"
    if uid == 1000 and shutil.which("getent"):
        known = subprocess.run(["getent", "passwd", "1000"], capture_output=True, text=True, check=False).stdout
        name = known.partition(":")[0] or "lab"
    assert said.splitlines() == [name, str(uid), str(uid), "/workspace", "/workspace/.venv/bin/python", "home"]
    clone.inside("python -c 'import getpass, torch; print(getpass.getuser())'")
    clone.ok("make", "check-render")
    assert owners(clone.path) == {uid}
    assert (clone.path / "smoke_frame.png").exists()


def test_nothing_else_can_be_written_to(box):
    for path in ("/etc/x", "/usr/x", "/opt/lab/x", "/home/x", "/x"):
        assert box.run("docker/dev.sh", "touch", path).returncode != 0, path
    box.inside("touch /tmp/x /workspace/x $HOME/x && rm x")


def test_container_has_no_privileges(box):
    status = box.inside("cat /proc/self/status")
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)


@pytest.mark.parametrize("status", [0, 1, 7, 130])
def test_exit_status_comes_back(box, status):
    assert box.run("docker/dev.sh", "bash", "-c", f"exit {status}").returncode == status


def test_arguments_and_stdin_arrive_as_they_are(box):
    words = ["two words", "*", "$HOME", 'a "quote"', ""]
    run = box.ok("docker/dev.sh", "python", "-c", "import sys; print(sys.argv[1:])", *words)
    assert run.stdout.strip() == str(words)
    piped = subprocess.run(
        ["docker/dev.sh"], input="pwd; exit 5\n", cwd=box.path, env=box.environment, capture_output=True, text=True
    )
    assert (piped.returncode, piped.stdout) == (5, "/workspace\n")


def test_working_folder_is_the_same_inside(box):
    run = subprocess.run(
        [box.path / "docker/dev.sh", "pwd"], cwd=box.path / "docs", env=box.environment, capture_output=True, text=True
    )
    assert run.stdout == "/workspace/docs\n", run.stderr


@pytest.mark.parametrize("command", [["bash", "docker/dev.sh"], ["make", "--silent", "shell"]], ids=" ".join)
def test_shell_on_a_terminal(box, command):
    keys = "which python; whoami; tty && exit 5\n"
    status, screen = on_terminal(box, command, keys)
    assert status == (5 if command[0] == "bash" else 2), screen  # make says 2 for any failure
    assert "/workspace/.venv/bin/python" in screen
    assert "(robotics-lab)" in screen
    assert "I have no name" not in screen


def test_make_works_inside(box):
    run = box.ok("docker/dev.sh", "make", "check-gpu")
    assert [line.split()[1] for line in run.stdout.splitlines()] == ["venv", "gpu"]
    run = box.run("docker/dev.sh", "make", "venv", "STEPS=7")
    assert run.stderr.startswith("error: STEPS=7 is not a multiple of 8"), run.stdout + run.stderr


def test_chapters_command(box):
    assert "FetchReach-v4" in box.ok("bash", "docker/dev.sh", "python", "-m", "checks", "list-envs").stdout


def wait_for(condition, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_on_a_terminal_ends_training_and_container(box):
    host = box.environment["DOCKER_HOST"]
    train = ["docker/dev.sh", "python", "-m", "checks", "ppo-smoke", "--out", "proof/interrupted.zip"]
    status, screen = on_terminal(box, train, "\x03", after="steps/s")
    assert status == 130, screen
    assert "Traceback" not in screen
    assert wait_for(lambda: not containers(host))
    assert not (box.path / "proof/interrupted.zip").exists()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_signal_without_a_terminal_ends_the_container(box, ending):
    host = box.environment["DOCKER_HOST"]
    process = box.start("docker/dev.sh", "python", "-m", "checks", "ppo-smoke", "--out", "proof/interrupted.zip")
    next(line for line in process.stderr if line.startswith("train: 2,000"))
    os.kill(process.pid, ending)
    process.communicate(timeout=60)
    assert process.returncode == 128 + ending
    assert wait_for(lambda: not containers(host))


def test_signal_to_make_ends_the_container(box):
    host = box.environment["DOCKER_HOST"]
    target = "--eval=long: ; docker/dev.sh bash -c 'echo here; sleep 300'"
    process = box.start("make", "--silent", target, "long")
    assert process.stdout.readline() == "here\n"
    process.terminate()
    process.communicate(timeout=60)
    assert wait_for(lambda: not containers(host))


def test_check_that_outlived_its_client_is_named_and_ended(place, box):
    """A check that lasts, in clones that leave the venv out."""
    host = box.environment["DOCKER_HOST"]
    clones = [boxed(place / name, host) for name in ("with an orphan", "beside an orphan")]
    for clone in clones:
        (clone.path / "docker/activate.sh").write_text('#!/bin/bash\nexec "$@"\n')
    clone, other = clones
    (clone.path / "checks/check_train.py").write_text("import os, time; os.write(2, b'here'); time.sleep(300)\n")
    check = ("docker/dev.sh", "python", "-m", "checks", "gpu")
    train = clone.start("docker/dev.sh", "python", "-m", "checks.check_train")
    assert train.stderr.read(4) == "here"
    living = clone.run(*check)
    train.kill()
    train.communicate()
    orphan = clone.run(*check)
    for run, ended in ((living, ""), (orphan, ", which has ended")):
        what = f"python -m checks.check_train, in the container {containers(host)}"
        by = f"started by process {train.pid} of {socket.gethostname()}{ended}"
        assert run.returncode == 1
        assert f"error: another check of this clone still runs: {what}, {by}\nfix: " in run.stderr, run.stderr
    clone.ok("docker/dev.sh", "true")
    clone.ok("docker/dev.sh", "python", "-m", "checks", "list-envs")
    other.ok(*check)
    subprocess.run(remedy(orphan), shell=True, env=clone.environment, check=True)
    assert wait_for(lambda: not containers(host))
    clone.ok(*check)


def test_host_and_container_take_turns_without_building_anew(place, daemon, box):
    clone = boxed(place / "taking turns", daemon)
    local = {"ENGINE": "local", "PYTHON": bare_python(), "XDG_CACHE_HOME": os.environ["LAB_TESTS_CACHE"]}
    clone.ok("make", "venv")
    clone.ok("make", "venv", **local)
    for settings in ({}, local, {}):
        run = clone.ok("make", "venv", **settings)
        assert "building" not in run.stderr
        clone.ok("docker/dev.sh", "python", "-c", "import torch, mujoco, checks", **settings)
    assert clone.leftovers() == ["parked"]
    clone.ok("make", "clean")
    assert not list(clone.path.glob(".venv*"))


def test_venv_outside_the_repository_is_wrong_usage(box):
    run = box.run("docker/dev.sh", "true", VENV="/tmp/elsewhere")
    assert run.returncode == 2
    assert run.stderr.startswith("error: VENV=/tmp/elsewhere is outside the repository")


@pytest.mark.slow
def test_bare_debian_is_set_up_by_make_verify_alone(box, place):
    """In a plain container with nothing but Python, make and git: the local engine, and apt as root."""
    host = box.environment["DOCKER_HOST"]
    packages = "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 make git >/dev/null"
    recipe = f"FROM {BASE}\nENV DEBIAN_FRONTEND=noninteractive\nRUN {packages}\n"
    docker(host, "build", "-t", "lab-test-base:bare", "-", input=recipe)
    clone = boxed(place / "bare", host)
    wheel = torch_wheel()
    command = ["run", "--rm", f"--mount=type=bind,source={clone.path},target=/clone", "--workdir=/clone"]
    command += [f"--mount=type=bind,source={wheel.parent},target=/wheels", "--env=PIP_FIND_LINKS=/wheels"]
    run = subprocess.run(
        ["docker", "-H", host, *command, "lab-test-base:bare", "make", "check-render"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "system: installing " in run.stderr
    words = [line.split()[:2] for line in run.stdout.splitlines()]
    assert words == [["skip", "image"], ["ok", "venv"], ["skip", "gpu"], ["ok", "mujoco"], ["ok", "render"]]
