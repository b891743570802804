"""What goes wrong with engines and builds is one clear error, with the command that helps."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import in_namespace
from engines import BASE, Boxed, base_archive, boxed, docker, docker_daemon
from verdicts import injects


def assert_one_clear_error(run: subprocess.CompletedProcess, what: str, fix: str) -> None:
    assert run.returncode != 0
    errors = re.findall(r"^error: (.*)\nfix: (.*)$", run.stderr, re.MULTILINE)
    assert len(errors) == 1, run.stderr
    assert what in errors[0][0] and fix in errors[0][1], errors


def test_no_daemon(box):
    run = box.run("make", "verify", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert_one_clear_error(run, "ENGINE=docker does not answer: ", "sudo systemctl start docker")


@contextmanager
def stopped(host: str):
    """A daemon that is there and answers nothing."""
    pid = int((Path(host.removeprefix("unix://")).parent / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("engine", "what", "fix"),
    [
        ("docker", "ENGINE=docker does not answer: docker hangs: no answer in 1 s", "; or ENGINE=local"),
        ("auto", "docker hangs: no answer in 1 s", "; or, without it: ENGINE=local"),
    ],
)
def test_daemon_that_hangs(place, daemon, engine, what, fix):
    clone = boxed(place / f"hung up, {engine}", daemon)
    clone.shorten_patience()
    commands = (["make", "image"], ["make", "verify"], ["docker/dev.sh", "true"])
    with stopped(daemon):
        for command in commands:
            run = in_time(clone, *command, ENGINE=engine)
            assert_one_clear_error(run, what, f"sudo systemctl restart docker{fix}")
        run = in_time(clone, "make", "doctor", ENGINE=engine)
    row = "hangs       docker server         no answer in 1 s; fix: sudo systemctl restart docker\n"
    assert row in run.stdout and "\nok          disk " in run.stdout
    assert run.returncode == 2


def in_time(clone: Boxed, *command: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a command that must not wait for long."""
    return clone.run("timeout", "--kill-after=1", "20", *command, **environment)


def test_daemon_that_hangs_later(place, box):
    """Its version it still tells, as one in a deadlock does: a client that hangs at the second question."""
    clone = boxed(place / "hung up later", box.environment["DOCKER_HOST"])
    clone.shorten_patience()
    folder = place / "hanging client"
    folder.mkdir()
    real = shutil.which("docker")
    (folder / "docker").write_text(f'#!/bin/bash\n[[ $1 != image ]] || exec sleep 100\nexec {real} "$@"\n')
    (folder / "docker").chmod(0o755)
    path = f"{folder}:{clone.environment['PATH']}"
    for command in (["make", "image"], ["docker/dev.sh", "true"]):
        run = in_time(clone, *command, PATH=path)
        assert_one_clear_error(run, "docker hangs: no answer in 1 s", "sudo systemctl restart docker")
    assert "hangs       base image " in in_time(clone, "make", "doctor", PATH=path).stdout


def test_no_room_to_build_in(box):
    """Nothing is built, and nothing written elsewhere: it once made /wheels."""
    assert not Path("/wheels").exists()
    run = box.run("make", "image", TMPDIR="/nonexistent", APT_SNAPSHOT="20261101T000000Z")
    assert_one_clear_error(run, "image: no folder can be made to build from: ", "TMPDIR=/tmp make image")
    assert not Path("/wheels").exists()
    mounts = "mount -t tmpfs -o size=40k tmpfs docs"
    run = box.run(*in_namespace(mounts, "make", "image"), TMPDIR=f"{box.path}/docs", APT_SNAPSHOT="20261101T000000Z")
    assert_one_clear_error(run, "what it is built from cannot be put into ", "TMPDIR=/a/larger/folder make image")


def test_kit_that_is_not_there(box):
    for command in (["make", "image"], ["docker/dev.sh", "true"]):
        run = box.run(*command, KIT="typo", APT_SNAPSHOT="20261101T000000Z")
        assert_one_clear_error(run, f"KIT=typo is not a kit: there is no {box.path}/typo/kit.txt", "KIT=")
        assert "image: building" not in run.stderr


def test_socket_of_others(place, daemon, box):
    socket = Path(daemon.removeprefix("unix://"))
    clone = boxed(place / "without the group", daemon, 1000)
    socket.chmod(0o660)
    try:
        run = clone.run("make", "verify")
    finally:
        socket.chmod(0o666)
    assert_one_clear_error(run, "permission denied", "sudo usermod -aG docker")


@injects("gpu.toolkit-missing", "EXPECT=gpu, with a Docker that has no NVIDIA runtime", "make venv EXPECT=cpu")
def test_gpu_that_no_runtime_gives(box):
    run = box.run("docker/dev.sh", "true", EXPECT="gpu")
    assert_one_clear_error(run, "docker cannot give the GPU to a container", "NVIDIA Container Toolkit")
    assert 'could not select device driver "" with capabilities: [[gpu]] [gpu.toolkit-missing]' in run.stderr
    assert run.stderr.rstrip().endswith("without a GPU: EXPECT=cpu")
    box.ok("make", "venv", EXPECT="cpu")


def test_gpu_is_tried_once_and_not_before_every_command(place, monkeypatch):
    """A daemon that takes this hook for NVIDIA's, which is what it looks for at its start: no GPU is at hand."""
    hook = place / "nvidia/nvidia-container-runtime-hook"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    hook.chmod(0o755)
    monkeypatch.setenv("PATH", str(hook.parent), prepend=":")
    with docker_daemon(place / "with a hook", "--iptables=false") as host:
        docker(host, "import", str(base_archive()), BASE)
        clone = boxed(place / "with a GPU", host)
        clone.environment["EXPECT"] = "gpu"
        (clone.path / "docker/activate.sh").write_text('#!/bin/bash\nexec "$@"\n')  # the base has no Python
        door = clone.path / "docker/dev.sh"  # without the limits, which root in a container may not raise
        door.write_text(re.sub(r"(?<=[( ])--ulimit=[^ )]+", "", door.read_text()))
        docker(host, "tag", BASE, f"robotics-rl:{clone.image_key()}")
        for _ in range(3):
            clone.ok("docker/dev.sh", "true")
        until = f"--until={int(time.time()) + 1}"
        started = docker(host, "events", "--since=0", until, "--filter=event=start").splitlines()
    assert len(started) == 1 + 3


def test_registry_out_of_reach(box):
    run = box.run("make", "image", BASE_IMAGE="127.0.0.1:9/nothing:here")
    assert_one_clear_error(run, "image: the build cannot reach the network", "make image")


def test_build_without_network(place, box):
    with docker_daemon(place / "cut off", network=False) as host:
        docker(host, "import", str(base_archive()), BASE)
        run = box.run("make", "image", DOCKER_HOST=host)
        assert_one_clear_error(run, "image: the build cannot reach the network", "make image")
        assert "robotics-rl" not in docker(host, "images")


def test_base_whose_python_is_too_old(box):
    """A python3 that says so, in the words of env/venv_key.py: no base that old is at hand. Apt has nothing to add."""
    host = box.environment["DOCKER_HOST"]
    image = box.inside("echo $LAB_IMAGE")
    says = "python 3.9.2 (/usr/bin/python3) is not one of 3.11, 3.12, 3.13"
    recipe = f"""FROM {image}
ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin
RUN printf '%s\\n' '#!/bin/sh' 'echo "error: {says}" >&2' 'exit 3' >/usr/bin/python3 && chmod +x /usr/bin/python3
"""
    docker(host, "build", "-t", "lab-test-base:old", "-", input=recipe)
    run = box.run("make", "image", BASE_IMAGE="lab-test-base:old")
    assert_one_clear_error(run, f"image: the base image's {says}", "another base")


def test_apt_snapshot_is_refused_where_apt_knows_none(box):
    """Debian 12's apt does not; the build must not go on with today's packages."""
    run = box.run("make", "image", APT_SNAPSHOT="20261101T000000Z")
    assert run.returncode != 0
    assert "--snapshot" in run.stderr


def test_full_disk_while_building(place, box):
    small = place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", small], check=True)
    try:
        with docker_daemon(small / "docker", "--iptables=false") as host:
            docker(host, "import", str(base_archive()), BASE)
            run = box.run("make", "image", DOCKER_HOST=host)
            assert_one_clear_error(run, "image: the disk is full", "docker system df")
    finally:
        time.sleep(1)
        subprocess.run(["umount", "--lazy", small], check=True)
