"""The image: built when its content changes, from the base it names, with what the lock says in it."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest
from conftest import ROOT
from engines import BASE, Boxed, boxed, docker, registry

from checks import CHECKS

CHAIN = [["skip" if name == "gpu" else "ok", name] for name in ("image", "venv", *CHECKS.values())]


def verdicts(output: str) -> list[list[str]]:
    """Verdict and name in each line of a chain's output."""
    return [line.split()[:2] for line in output.splitlines()]


def test_chain_runs_in_the_container(box):
    assert verdicts(box.ok("make", "check-mujoco").stdout) == CHAIN[: CHAIN.index(["ok", "mujoco"]) + 1]
    run = box.ok("docker/dev.sh", "python", "-m", "checks", "ppo-smoke", "--total-steps=2000", "--out=proof/short.zip")
    assert verdicts(run.stdout) == [["ok", "train"]]


@pytest.mark.slow
def test_verify_runs_every_check_in_the_container(box):
    run = box.ok("make", "verify")
    assert verdicts(run.stdout)[: len(CHAIN)] == CHAIN
    for check in CHECKS.values():
        assert json.loads((box.path / f"proof/{check}.json").read_text())["settings"]["ENGINE"] == "docker"
    for name in ("smoke_frame.png", "ppo_smoke.zip", ".venv/.requirements_hash"):
        assert (box.path / name).stat().st_size > 0


def test_current_image_is_not_built_again(box):
    def images() -> set[str]:
        return set(docker(box.environment["DOCKER_HOST"], "images", "--all", "--quiet").splitlines())

    before = images()
    run = box.ok("make", "image")
    assert run.stderr == ""
    assert re.search(r" sha256:(\w{12})$", run.stdout).group(1) in before
    assert images() == before


@pytest.fixture
def builder(place, daemon, tmp_path) -> Boxed:
    """A clone whose image takes two seconds to build, and is another one for each test."""
    builder = boxed(place / f"building {tmp_path.name}", daemon)
    recipe = f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN echo {time.time()} && sleep 2\n"
    (builder.path / "docker/Dockerfile").write_text(recipe)
    return builder


def test_of_several_builds_at_once_one_builds_and_the_others_wait(builder):
    host = builder.environment["DOCKER_HOST"]
    untagged = ["images", "--quiet", "--filter=dangling=true"]
    before = docker(host, *untagged)
    said = [run.communicate(timeout=120) for run in [builder.start("make", "image") for _ in range(3)]]
    assert len({out for out, _ in said}) == 1 and said[0][0].startswith("ok        image "), said
    assert [err.count("image: building ") for _, err in said].count(1) == 1, said
    assert sum(err == "image: another run is making one; waiting for it\n" for _, err in said) == 2, said
    assert docker(host, *untagged) == before


def test_build_that_was_killed_is_not_waited_for(builder):
    killed = builder.start("make", "image")
    next(line for line in killed.stderr if "sleep 2" in line)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert "image: building " in builder.ok("make", "image").stderr


def test_current_venv_is_seen_without_a_container(box):
    host = box.environment["DOCKER_HOST"]

    def containers_of(command: str) -> tuple[str, int]:
        started = docker(host, "info", "--format", "{{.SystemTime}}")
        run = box.ok("make", command)
        until = docker(host, "info", "--format", "{{.SystemTime}}")
        events = ["events", "--since", started, "--until", until, "--filter", "event=start", "--format", "{{.ID}}"]
        return run.stdout.splitlines()[-1], len(docker(host, *events).splitlines())

    box.ok("make", "venv")
    said, containers = containers_of("venv")
    assert said.startswith("ok        venv     docker · python 3.") and containers == 0
    next(box.path.glob(".venv/lib/python*/site-packages/mujoco/__init__.py")).unlink()
    assert containers_of("venv") == (said, 1)
    assert containers_of("venv") == (said, 0)


def test_image_carries_the_hash_that_is_its_tag(box):
    host = box.environment["DOCKER_HOST"]
    tag = re.search(r"robotics-rl:(\w+)", box.ok("make", "image").stdout).group(1)
    labels = json.loads(docker(host, "image", "inspect", "-f", "{{json .Config.Labels}}", f"robotics-rl:{tag}"))
    assert labels["robotics-lab.key"] == tag


def test_image_has_the_locks_versions_and_what_the_checks_need(box):
    host = box.environment["DOCKER_HOST"]
    image = re.search(r"robotics-rl:\w+", box.ok("make", "image").stdout).group()
    program = (
        "import imageio, mujoco, numpy, stable_baselines3, torch; print(mujoco.__version__, torch.__version__);"
        "imageio.mimwrite('/tmp/x.mp4', numpy.zeros((9, 64, 64, 3), 'uint8'), fps=9); print(torch.__file__)"
    )
    *_, printed, torch_file = docker(host, "run", "--rm", "--network=none", image, "python", "-c", program).splitlines()
    locked = re.search(r"^mujoco==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE).group(1)
    torch = re.search(r"^torch==(\S+)", (ROOT / "env/torch-cpu.txt").read_text(), re.MULTILINE).group(1)
    assert printed == f"{locked} {torch}" and torch_file.startswith("/opt/base/lib/python")
    twice = "ls -d /opt/lab/lib/python*/site-packages/{torch,imageio_ffmpeg/binaries/ffmpeg-*} 2>/dev/null || true"
    assert docker(host, "run", "--rm", image, "bash", "-c", twice) == ""  # the system has an ffmpeg
    assert "libEGL_nvidia.so.0" in docker(
        host, "run", "--rm", image, "cat", "/usr/share/glvnd/egl_vendor.d/10_nvidia.json"
    )
    libraries = docker(host, "run", "--rm", image, "ldconfig", "-p")
    for library in ("libEGL.so.1", "libGL.so.1", "libOSMesa.so.8", "libglfw.so.3"):
        assert library in libraries
    for program in ("ffmpeg", "git", "make", "shellcheck"):
        assert docker(host, "run", "--rm", image, "which", program)


def test_changed_lock_and_moved_base_make_another_image(box, place):
    """The keys alone: what is built from them is built above."""
    host = box.environment["DOCKER_HOST"]
    other = boxed(place / "with another lock", host)
    current = re.search(r"robotics-rl:(\w+)", box.ok("make", "image").stdout).group(1)
    docker(host, "build", "-t", "lab-test-base:moved", "-", input=f"FROM {BASE}\nLABEL moved=yes\n")
    keys = {
        current,
        box.image_key(BASE_IMAGE="lab-test-base:moved"),
        box.image_key(APT_SNAPSHOT="20261101T000000Z"),
    }
    for name in ("requirements.txt", "docker/Dockerfile", "env/venv.sh", "env/system/packages.txt"):
        (other.path / name).open("a").write("# a change\n")
        keys.add(other.image_key(BASE_IMAGE="lab-test-base:moved"))
    assert len(keys) == 7
    for name in ("checks/render_probe.py", "docker/dev.sh", "env/lock/resolve.py"):
        (other.path / name).open("a").write("# the image does not hold this\n")
        keys.add(other.image_key(BASE_IMAGE="lab-test-base:moved"))
    assert len(keys) == 7


def test_base_by_digest_comes_from_its_registry(box, place):
    host = box.environment["DOCKER_HOST"]
    with registry(place / "registry", 5017) as address:
        name = f"{address}/lab-test-base"
        docker(host, "tag", BASE, name)
        pushed = docker(host, "push", name)
        digest = re.search(r"sha256:[0-9a-f]{64}", pushed).group()
        docker(host, "rmi", name)
        run = box.ok("make", "image", BASE_IMAGE=f"{name}@{digest}")
        assert f"on {name}@{digest}" in run.stderr
        wrong = f"{name}@sha256:{'0' * 64}"
        run = box.run("make", "image", BASE_IMAGE=wrong)
        assert run.returncode != 0
        assert "error: image: there is no such base image\nfix: " in run.stderr
    run = box.ok("make", "image", BASE_IMAGE=f"{name}@{digest}")  # current: the registry is not asked
    assert run.stderr == ""


def test_pins_are_digests():
    pins = [line.split() for line in (ROOT / "docker/base-images.txt").read_text().splitlines() if line[0] != "#"]
    assert [expect for expect, _ in pins] == ["gpu", "cpu"]
    assert all(re.fullmatch(r"[a-z0-9.]+/\S+:\S+@sha256:[0-9a-f]{64}", image) for _, image in pins)
