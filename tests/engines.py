"""Real engines for the container tests: a Docker daemon and a registry of our own, and a base image.

Nothing of the machine's own Docker is used: data, socket and processes are the tests', and end with them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Clone

SUITE = "bookworm"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
BASE = "lab-test-base:plain"  # Debian as debootstrap makes it: no Python, no GL, nothing


def missing_program() -> str | None:
    """The first thing that the container tests need and this machine lacks."""
    if os.geteuid():
        return "root"
    return next((name for name in ("dockerd", "debootstrap") if shutil.which(name) is None), None)


def base_archive() -> Path:
    """A tar archive of a minimal Debian, made once a week; with the authorities that this machine trusts."""
    trusted = sorted(CERTIFICATES.glob("*.crt"))
    content = b"".join(path.read_bytes() for path in trusted) + time.strftime("%G-%V").encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robotics-lab"
    archive = cache / f"{SUITE}-{hashlib.sha256(content).hexdigest()[:12]}.tar"
    cache.mkdir(parents=True, exist_ok=True)
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # podman's worker waits for docker's, or the other way round
        if not archive.exists():
            make_base(archive, trusted)
    return archive


def make_base(archive: Path, trusted: list[Path]) -> None:
    """Make that archive."""
    root = archive.with_name(f"{archive.stem}.{os.getpid()}")
    log = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
    subprocess.run(log, check=True, stdout=subprocess.DEVNULL)
    for certificate in trusted:
        shutil.copy(certificate, root / f".{CERTIFICATES}")
    subprocess.run(["chroot", root, "update-ca-certificates"], check=True, capture_output=True)
    partial = archive.with_suffix(f".tar.{os.getpid()}")
    subprocess.run(["tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", partial, "."], check=True)
    partial.rename(archive)
    shutil.rmtree(root)


@contextmanager
def docker_daemon(folder: Path, *options: str, network: bool = True):
    """Start a daemon with its data under `folder`; yield its DOCKER_HOST; end it by its pid.

    Without network its containers have none: --bridge=none, in a network namespace of its own, since it deletes
    the bridge that it finds. A second one with network wants --iptables=false, for the sake of the first.
    """
    folder.mkdir(parents=True)
    host = f"unix://{folder}/docker.sock"
    alone = [] if network else ["unshare", "--net"]
    options += () if network else ("--bridge=none",)
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(
            [*alone, "dockerd", *places, f"--host={host}", *options], stdout=log, stderr=log, process_group=0
        )
    try:
        for _ in range(300):
            if not subprocess.run(["docker", "-H", host, "version"], capture_output=True).returncode:
                break
            assert daemon.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield host
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


@contextmanager
def registry(folder: Path, port: int):
    """Start a registry on loopback; yield its address."""
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        time.sleep(1)
        assert process.poll() is None, (folder / "log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def docker(host: str, *arguments: str, **options) -> str:
    command = ["docker", "-H", host, *arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip()


@pytest.fixture(scope="session")
def place():
    """The folder of the engines' data, and of clones that every uid can reach."""
    if missing := missing_program():
        pytest.skip(f"the container tests need root, dockerd and debootstrap; here is no {missing}")
    folder = Path(os.environ["LAB_TESTS"]) / "engines"
    folder.mkdir(exist_ok=True)  # the podman test's worker may be another
    return folder


@pytest.fixture(scope="session")
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

    def image_key(self, **environment: str) -> str:
        """The tag of the image that this clone's files and base stand for; nothing is built."""
        script = 'root=$PWD; . docker/image.sh; choose_engine; name_image; echo "${image#*:}"'
        return self.ok("bash", "-c", script, **environment).stdout.strip()

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


@pytest.fixture(scope="session")
def box(place, daemon) -> Boxed:
    """A clone whose image is built; its path has a space and a comma."""
    clone = boxed(place / "a clone, boxed", daemon)
    clone.ok("make", "image")
    return clone
