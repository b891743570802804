"""The lab in a container: real Docker, real podman, images built from a base made here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import ROOT, Clone, on_terminal, torch_wheel
from engines import BASE, base_archive, docker_daemon, missing_program, registry

if missing_program():
    pytest.skip(f"the container tests need {missing_program()}, dockerd and debootstrap", allow_module_level=True)

UIDS = [0, 1000, 12345]


def docker(host: str, *arguments: str, **options) -> str:
    command = ["docker", "-H", host, *arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="module")
def place():
    """A folder that every uid can reach; pytest's own are root's."""
    folder = Path(tempfile.mkdtemp(prefix="lab-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def daemon(place):
    """A Docker daemon of our own, with the base image in it; its socket is everyone's."""
    with docker_daemon(place / "docker") as host:
        docker(host, "import", str(base_archive()), BASE)
        Path(host.removeprefix("unix://")).chmod(0o666)
        yield host


class Boxed(Clone):
    """A clone that runs its commands in containers, as a uid."""

    uid = 0

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        if self.uid:
            command = ("setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", *command)
        return super().start(*command, **environment)

    def inside(self, script: str, **environment: str) -> str:
        """What a shell command prints in the container."""
        return self.ok("docker/dev.sh", "bash", "-c", script, **environment).stdout.strip()


def boxed(folder: Path, host: str, uid: int = 0) -> Boxed:
    """A clone for that uid, with a home of its own, on that daemon."""
    folder.mkdir(parents=True)
    clone = Boxed(folder)
    clone.uid = uid
    home = folder.parent / f"home of {folder.name}"
    home.mkdir()
    clone.environment |= {"ENGINE": "docker", "EXPECT": "cpu", "DOCKER_HOST": host, "BASE_IMAGE": BASE}
    clone.environment |= {"HOME": str(home), "PYTHON": "python3"}
    for variable in ("XDG_CACHE_HOME", "LOGNAME", "USER"):
        clone.environment.pop(variable, None)
    for path in (folder, home):
        subprocess.run(["chown", "-R", f"{uid}:{uid}", path], check=True)
    return clone


@pytest.fixture(scope="module")
def box(place, daemon) -> Boxed:
    """A clone whose image is built; its path has a space and a comma."""
    clone = boxed(place / "a clone, boxed", daemon)
    clone.ok("make", "image")
    return clone


def containers(host: str) -> str:
    return docker(host, "ps", "--quiet")


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


# the image


def test_verify_runs_every_check_in_the_container(box):
    run = box.ok("make", "verify")
    words = [line.split()[:2] for line in run.stdout.splitlines()[:6]]
    checks = [["skip", "gpu"], ["ok", "mujoco"], ["ok", "render"], ["ok", "train"]]
    assert words == [["ok", "image"], ["ok", "venv"], *checks]
    for check in ("gpu", "mujoco", "render", "train"):
        assert json.loads((box.path / f"proof/{check}.json").read_text())["settings"]["ENGINE"] == "docker"
    for name in ("smoke_frame.png", "ppo_smoke.zip", ".venv/.requirements_hash"):
        assert (box.path / name).stat().st_size > 0


def test_current_image_is_not_built_again(box):
    before = docker(box.environment["DOCKER_HOST"], "image", "inspect", "-f", "{{.Id}}", "robotics-rl:latest")
    run = box.ok("make", "image")
    assert run.stderr == ""
    assert before[:19] in run.stdout


def test_image_carries_the_hash_that_is_its_tag(box):
    host = box.environment["DOCKER_HOST"]
    tag = re.search(r"robotics-rl:(\w+)", box.ok("make", "image").stdout).group(1)
    labels = json.loads(docker(host, "image", "inspect", "-f", "{{json .Config.Labels}}", f"robotics-rl:{tag}"))
    assert labels["robotics-lab.key"] == tag


def test_image_has_the_locks_versions_and_what_the_checks_need(box):
    host = box.environment["DOCKER_HOST"]
    program = "import mujoco, stable_baselines3, torch; print(mujoco.__version__, torch.__version__)"
    printed = docker(host, "run", "--rm", "--network=none", "robotics-rl:latest", "python", "-c", program)
    locked = re.search(r"^mujoco==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE).group(1)
    torch = re.search(r"^torch==(\S+)", (ROOT / "env/torch-cpu.txt").read_text(), re.MULTILINE).group(1)
    assert printed.splitlines()[-1] == f"{locked} {torch}"
    assert "libEGL_nvidia.so.0" in docker(
        host, "run", "--rm", "robotics-rl:latest", "cat", "/usr/share/glvnd/egl_vendor.d/10_nvidia.json"
    )
    libraries = docker(host, "run", "--rm", "robotics-rl:latest", "ldconfig", "-p")
    for library in ("libEGL.so.1", "libGL.so.1", "libOSMesa.so.8", "libglfw.so.3"):
        assert library in libraries
    for program in ("ffmpeg", "git", "make", "shellcheck"):
        assert docker(host, "run", "--rm", "robotics-rl:latest", "which", program)


def test_changed_lock_and_moved_base_make_another_image(box, place):
    """The keys alone: what is built from them is built above."""
    host = box.environment["DOCKER_HOST"]
    other = boxed(place / "with another lock", host)
    key = ["bash", "-c", '. docker/image.sh; choose_engine; build() { echo "$2"; exit; }; ensure_image']
    (other.path / "requirements.txt").open("a").write("# a change\n")
    changed = other.ok(*key, root=str(other.path)).stdout
    docker(host, "build", "-t", "lab-test-base:moved", "-", input=f"FROM {BASE}\nLABEL moved=yes\n")
    moved = box.ok(*key, root=str(box.path), BASE_IMAGE="lab-test-base:moved").stdout
    dated = box.ok(*key, root=str(box.path), APT_SNAPSHOT="20261101T000000Z").stdout
    current = re.search(r"robotics-rl:(\w+)", box.ok("make", "image").stdout).group(1) + "\n"
    assert len({changed, moved, dated, current}) == 4
    (other.path / "docker/Dockerfile").open("a").write("# a change\n")
    assert other.ok(*key, root=str(other.path)).stdout != changed
    (other.path / "checks/frame.py").open("a").write("# the image does not hold the project\n")
    assert other.ok(*key, root=str(other.path), BASE_IMAGE="lab-test-base:moved").stdout != moved


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


# the door


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
    next(line for line in process.stderr if line.startswith("train: 5,000"))
    os.kill(process.pid, ending)
    process.communicate(timeout=60)
    assert process.returncode == 128 + ending
    assert wait_for(lambda: not containers(host))


def test_host_and_container_take_turns_without_building_anew(place, daemon, box):
    clone = boxed(place / "taking turns", daemon)
    local = {"ENGINE": "local", "PYTHON": box.environment["PYTHON"], "HOME": os.environ["HOME"]}
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


# the local engine on a bare machine


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


# the traps of NVIDIA's image, in a stand-in that has them all

STAND_IN = r"""
FROM {base}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-pip python3-numpy >/dev/null
COPY torch*.whl /tmp/
# torch with a pre-release local version, in dist-packages, with an older numpy beside it
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
RUN pip install --quiet filelock sympy networkx jinja2 fsspec typing-extensions \
 && pip install --quiet --no-deps /tmp/torch*.whl \
 && cd /usr/local/lib/python3*/dist-packages && mv torch-*.dist-info torch-{version}.dist-info \
 && sed -i 's/^Version: .*/Version: {version}/' torch-{version}.dist-info/METADATA \
 && sed -i "s/^__version__ = .*/__version__ = '{version}'/" torch/version.py
# pins that contradict the lock
RUN mkdir -p /etc/pip && printf 'numpy==1.24.2\nprotobuf==4.24.4\npip==23.0\n' >/etc/pip/constraint.txt
ENV PIP_CONSTRAINT=/etc/pip/constraint.txt
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
# OSMesa, which newer releases no longer offer
RUN printf 'Package: libosmesa6\nPin: release *\nPin-Priority: -1\n' >/etc/apt/preferences.d/no-osmesa
# an entrypoint with a banner and a step that matters
RUN mkdir -p /opt/nvidia && printf '%s\n' '#!/bin/bash' 'echo == PyTorch ==' 'export CUDA_COMPAT=done' 'exec "$@"' \
  >/opt/nvidia/nvidia_entrypoint.sh && chmod +x /opt/nvidia/nvidia_entrypoint.sh
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
"""
NGC_TORCH = "2.10.0a0+b4e4ee81d3.nv25.12"


@pytest.fixture(scope="module")
def ngc(place, daemon, box) -> Boxed:
    """A clone on a base that imitates nvcr.io/nvidia/pytorch, which is not to be had everywhere."""
    context = place / "stand-in"
    context.mkdir()
    wheel = torch_wheel()
    shutil.copy(wheel, context)
    (context / "Dockerfile").write_text(STAND_IN.format(base=BASE, version=NGC_TORCH))
    docker(daemon, "build", "-t", "lab-test-base:ngc", str(context))
    clone = boxed(place / "on ngc", daemon)
    clone.environment["BASE_IMAGE"] = "lab-test-base:ngc"
    return clone


def test_on_ngc_the_bases_torch_is_used_and_the_locks_versions_imported(ngc):
    run = ngc.ok("make", "check-mujoco")
    assert f"torch {NGC_TORCH} (the base layer's, /usr/local/lib/python3.11/dist-packages)" in run.stdout
    program = (
        "import numpy, google.protobuf, torch; print(numpy.__version__, google.protobuf.__version__, torch.__file__)"
    )
    numpy, protobuf, torch = ngc.ok("docker/dev.sh", "python", "-c", program).stdout.split()
    lock = (ROOT / "requirements.txt").read_text()
    assert f"\nnumpy=={numpy} " in lock and f"\nprotobuf=={protobuf} " in lock
    assert torch == "/usr/local/lib/python3.11/dist-packages/torch/__init__.py"
    assert (
        ngc.inside("ls -d /opt/lab/lib/python*/site-packages/torch .venv/lib/python*/site-packages/torch; true") == ""
    )


def test_on_ngc_the_entrypoint_runs_and_its_banner_stays_out(ngc):
    assert ngc.inside("echo $CUDA_COMPAT") == "done"
    _, screen = on_terminal(ngc, ["bash", "docker/dev.sh"], "exit\n")
    assert "== PyTorch ==" in screen


def test_release_without_osmesa_still_renders(ngc):
    assert "libOSMesa" not in ngc.inside("ldconfig -p")
    assert "ok        render   egl · " in ngc.ok("docker/dev.sh", "python", "-m", "checks", "render").stdout


def test_on_ngc_graphics_is_among_the_capabilities(ngc):
    assert ngc.inside("echo $NVIDIA_DRIVER_CAPABILITIES") == "all"


# failures


def assert_one_clear_error(run: subprocess.CompletedProcess, what: str, fix: str) -> None:
    assert run.returncode != 0
    errors = re.findall(r"^error: (.*)\nfix: (.*)$", run.stderr, re.MULTILINE)
    assert len(errors) == 1, run.stderr
    assert what in errors[0][0] and fix in errors[0][1], errors


def test_no_daemon(box):
    run = box.run("make", "verify", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert_one_clear_error(run, "ENGINE=docker does not answer: ", "sudo systemctl start docker")


def test_socket_of_others(place, daemon, box):
    socket = Path(daemon.removeprefix("unix://"))
    clone = boxed(place / "without the group", daemon, 1000)
    socket.chmod(0o660)
    try:
        run = clone.run("make", "verify")
    finally:
        socket.chmod(0o666)
    assert_one_clear_error(run, "permission denied", "sudo usermod -aG docker")


def test_gpu_that_no_runtime_gives(box):
    run = box.run("make", "venv", EXPECT="gpu")
    assert_one_clear_error(run, "docker cannot give the GPU to a container", "NVIDIA Container Toolkit")
    assert 'could not select device driver "" with capabilities: [[gpu]]' in run.stderr


def test_registry_out_of_reach(box):
    run = box.run("make", "image", BASE_IMAGE="127.0.0.1:9/nothing:here")
    assert_one_clear_error(run, "image: the network does not reach", "make image")


def test_build_without_network(place, box):
    with docker_daemon(place / "cut off", "--bridge=none") as host:
        docker(host, "import", str(base_archive()), BASE)
        run = box.run("make", "image", DOCKER_HOST=host)
        assert_one_clear_error(run, "image: the network does not reach", "make image")
        assert "robotics-rl" not in docker(host, "images")


def test_base_whose_python_is_too_old(box):
    """A python3 that says so, in the words of env/venv.py: no base that old is at hand."""
    host = box.environment["DOCKER_HOST"]
    says = "error: python 3.9.2 (/usr/bin/python3) is not one of 3.11, 3.12, 3.13"
    recipe = f"""FROM {BASE}
RUN printf '%s\\n' '#!/bin/sh' 'echo "{says}" >&2' 'exit 3' >/usr/bin/python3 && chmod +x /usr/bin/python3
"""
    docker(host, "build", "-t", "lab-test-base:old", "-", input=recipe)
    run = box.run("make", "image", BASE_IMAGE="lab-test-base:old")
    assert_one_clear_error(run, "image: the base image's Python is not one of 3.11, 3.12, 3.13", "another base")


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
        with docker_daemon(small / "docker") as host:
            docker(host, "import", str(base_archive()), BASE)
            run = box.run("make", "image", DOCKER_HOST=host)
            assert_one_clear_error(run, "image: the disk is full", "docker system df")
    finally:
        time.sleep(1)
        subprocess.run(["umount", "--lazy", small], check=True)


# doctor


def rows(clone: Boxed, **environment: str) -> tuple[int, dict[str, str]]:
    run = clone.run("make", "--silent", "doctor", **environment)
    found = re.findall(r"^(ok|missing|not needed) +(\S.*?)(?:  +|$)", run.stdout, re.MULTILINE)
    return run.returncode, {what: state for state, what in found}


def test_doctor_finds_nothing_wrong(box):
    status, found = rows(box)
    assert status == 0
    assert found["docker server"] == found["docker socket"] == found["base image"] == "ok"
    assert found["NVIDIA driver"] == found["container toolkit"] == "not needed"


def test_doctor_names_what_is_missing(box):
    status, found = rows(box, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert status != 0 and found["docker server"] == "missing"
    status, found = rows(box, EXPECT="gpu")
    assert status != 0 and found["NVIDIA driver"] == found["container toolkit"] == "missing"
    status, found = rows(box, ENGINE="local", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert status == 0 and found["docker server"] == "not needed" and found["python"] == "ok"


def test_doctor_changes_nothing(box):
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in box.path.rglob("*"))
    rows(box)
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in box.path.rglob("*")) == before


# podman


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podman_core(place, box):
    """Image, door, uid and a check; its store is the tests' own."""
    clone = boxed(place / "podman", box.environment["DOCKER_HOST"])
    store = place / "podman store"
    store.mkdir()
    (place / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/graph"\nrunroot = "{store}/run"\n'
    )
    # A user who may not raise limits, as root in a container may not, cannot have podman's defaults.
    (place / "containers.conf").write_text('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n')
    clone.environment |= {
        "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
        "CONTAINERS_CONF": str(place / "containers.conf"),
        "ENGINE": "podman",
        "BASE_IMAGE": f"localhost/{BASE}",
    }
    clone.ok("podman", "import", str(base_archive()), BASE)
    run = clone.ok("make", "check-mujoco")
    assert [line.split()[:2] for line in run.stdout.splitlines()][:2] == [["ok", "image"], ["ok", "venv"]]
    assert clone.ok("make", "image").stderr == ""
    assert clone.inside("whoami; pwd; which python").split() == ["root", "/workspace", "/workspace/.venv/bin/python"]
    assert clone.run("docker/dev.sh", "touch", "/etc/x").returncode != 0
    assert clone.run("docker/dev.sh", "bash", "-c", "exit 7").returncode == 7
