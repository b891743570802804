"""The tests judge the repository: real make, real processes, in clones of their own under a path with a space."""

from __future__ import annotations

import fcntl
import functools
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["engines"]  # the fixtures of the container tests

ROOT = Path(__file__).resolve().parent.parent

# What make test itself runs under, and a clone must not inherit.
INHERITED = [
    "APT_SNAPSHOT",
    "BASE_IMAGE",
    "ENGINE",
    "ENGINE_REASON",
    "EXPECT",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "MUJOCO_GL",
    "PYOPENGL_PLATFORM",
]
INHERITED += ["IMAGE", "KIT", "PACKAGE", "PLATFORM", "PROOF", "PYTHON", "PYTHONNOUSERSITE", "PYTHON_VERSION", "SLOW"]
INHERITED += ["STEPS", "STRICT", "TORCH", "UPGRADE", "VENV", "VIRTUAL_ENV"]


@functools.cache
def bare_python() -> str:
    """The interpreter that the venv running the tests was made from."""
    stamp = (Path(sys.prefix) / ".requirements_hash").read_text()
    return next(line.partition(" ")[2] for line in stamp.splitlines() if line.startswith("python "))


def make_base_layer(folder: Path, torch_version: str = "") -> str:
    """Make an interpreter that has torch, as NVIDIA's image has one: a venv with links to the torch of this one."""
    subprocess.run([bare_python(), "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    torch = distribution("torch")
    needs = re.findall(r"^([\w.-]+)==", (ROOT / "env/torch-cpu-needs.txt").read_text(), re.MULTILINE)
    for name in ["torch", "torchgen", "functorch", *needs]:
        (packages / name).symlink_to(torch.locate_file(name))
    (packages / "pip").symlink_to(distribution("pip").locate_file("pip"))
    metadata, version = torch.read_text("METADATA"), torch_version or torch.version
    (packages / f"torch-{version}.dist-info").mkdir()
    (packages / f"torch-{version}.dist-info/METADATA").write_text(
        re.sub(r"^Version: .*$", f"Version: {version}", metadata, count=1, flags=re.MULTILINE)
    )
    return str(folder / "bin/python")


def locked(package: str) -> str:
    """The version of a package in the lock."""
    return re.search(rf"^{package}==([^\s\\]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE).group(1)


class Clone:
    """A copy of the repository's files, and a way to run commands in it."""

    def __init__(self, folder: Path):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.path = folder
        self.environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
        path = os.environ["PATH"].split(":")
        self.environment["PATH"] = ":".join(folder for folder in path if folder != f"{sys.prefix}/bin")
        self.environment |= {
            "PYTHON": bare_python(),
            "ENGINE": "local",
            "XDG_CACHE_HOME": os.environ["LAB_TESTS_CACHE"],
        }

    @property
    def venv(self) -> Path:
        return self.path / ".venv"

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Start a command in the clone, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a command in the clone to its end, however it ends."""
        process = self.start(*command, **environment)
        out, err = process.communicate(timeout=1200)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ok(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a command that must succeed."""
        run = self.run(*command, **environment)
        assert run.returncode == 0, run.stdout + run.stderr
        return run

    def shorten_patience(self) -> None:
        """Let the clone's scripts wait one second for an answer, in the place of twenty."""
        script = self.path / "docker/engine.sh"
        script.write_text(re.sub(r"^PATIENCE=\d+", "PATIENCE=1", script.read_text(), flags=re.MULTILINE))

    def leftovers(self) -> list[str]:
        """What lies beside the venv, but for the lock."""
        return sorted(path.name for path in self.path.glob(".venv.lab/*") if path.name != "lock")


def stamp(clone: Clone) -> str:
    return (clone.venv / ".requirements_hash").read_text()


def identity(clone: Clone) -> int:
    """Another number once the venv was rebuilt."""
    return clone.venv.stat().st_ino


def site_packages(clone: Clone) -> Path:
    (folder,) = clone.venv.glob("lib/python*/site-packages")
    return folder


def base_torch(clone: Clone) -> tuple[str, str]:
    """Version and folder of the base layer's torch."""
    return re.search(r"^torch (\S+) (.+)$", stamp(clone), re.MULTILINE).groups()


def assert_right(clone: Clone) -> None:
    """The venv is current, proven by the lock and by an import, and nothing lies beside it."""
    before = identity(clone)
    run = clone.ok("make", "venv")
    assert identity(clone) == before
    assert "building" not in run.stderr
    assert re.search(r"^ok        venv ", run.stdout, re.MULTILINE)
    clone.ok(".venv/bin/python", "-P", "env/venv_contents.py", *base_torch(clone))
    assert clone.leftovers() == []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone, without a venv."""
    return Clone(tmp_path / "a fresh clone")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose venv is built; for tests that leave it as it is."""
    lab = Clone(tmp_path_factory.mktemp("lab") / "a clone")
    lab.ok("make", "venv")
    return lab


EDITED = ["requirements.in", "requirements.txt", "env/torch-cpu.txt", "checks/mujoco_golden.json"]


@pytest.fixture
def edited(lab: Clone) -> Iterator[Clone]:
    """The lab, in which a test may change what make lock reads and writes: it is put back."""
    before = {lab.path / name: (lab.path / name).read_bytes() for name in EDITED}
    yield lab
    for path, content in before.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def on_terminal(clone: Clone, command: list[str], keys: str, after: str = "") -> tuple[int, str]:
    """Run a command on a pseudo-terminal of its own; type `keys` once `after` is on the screen.

    Returns its exit status and all that the screen showed.
    """
    process, master = pty.fork()
    if process == 0:
        os.chdir(clone.path)
        os.execvpe(command[0], command, clone.environment)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    screen, typed = "", False
    try:
        while True:
            if not typed and after in screen:
                os.write(master, keys.encode())
                typed = True
            screen += os.read(master, 4096).decode(errors="replace")
    except OSError:  # the last process has closed the terminal
        pass
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), screen


@functools.cache
def torch_wheel() -> Path:
    """The locked CPU wheel of torch for this machine: from pip's find-links, else from torch's index."""
    lock = (ROOT / "env/torch-cpu.txt").read_text()
    version = re.search(r"^torch==(\S+)", lock, re.MULTILINE).group(1)
    index = re.search(r"^# index: (\S+)", lock, re.MULTILINE).group(1)
    folder = Path(tempfile.mkdtemp(prefix="torch-", dir=os.environ["LAB_TESTS"]))
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    for source in (["--no-index"], ["--index-url", index]):
        run = subprocess.run(
            [*download, *source, "--dest", folder, f"torch=={version}"],
            env=os.environ | {"PIP_CONSTRAINT": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode == 0:
            return next(folder.glob("torch-*.whl"))
    raise AssertionError(run.stderr)


def in_namespace(mounts: str, *command: str) -> tuple[str, ...]:
    """The command, in a mount namespace in which the shell commands `mounts` were run as root."""
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not permitted here")
    return ("unshare", "--map-root-user", "--mount", "bash", "-euc", f'{mounts}\nexec "$@"', "bash", *command)


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve HTTP on a free port of loopback; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def make_cache(folder: Path) -> str:
    """Make a cache, of which pip's and uv's parts are those of this machine."""
    folder.mkdir()
    for name in ("pip", "uv"):
        here = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name
        here.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(here)
    return str(folder)


FOLDERS = ("LAB_TESTS", "PYTEST_DEBUG_TEMPROOT")  # what is large, and every uid must reach; what pytest makes


def pytest_configure(config: pytest.Config) -> None:
    """Leave slow tests out, unless SLOW=1; make the folders to work in, which xdist's workers inherit; let Ctrl-C work.

    What a shell without job control starts in the background ignores Ctrl-C, and so would all that the tests start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        for name, parent in zip(FOLDERS, (None, os.environ.get(FOLDERS[1])), strict=True):
            os.environ[name] = tempfile.mkdtemp(prefix="lab-tests-", dir=parent)
        Path(os.environ["LAB_TESTS"]).chmod(0o755)
        os.environ["LAB_TESTS_CACHE"] = make_cache(Path(os.environ["LAB_TESTS"]) / "cache")
    tempfile.tempdir = os.environ["LAB_TESTS"]  # of trainings in this process: a worker of xdist does not clean up
    slow = os.environ.get("SLOW") or "0"
    if slow not in ("0", "1"):
        raise pytest.UsageError(f"SLOW={slow} is not 0 or 1")
    if slow == "0" and not config.option.markexpr:
        config.option.markexpr = "not slow"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove them: not left to a worker, which Ctrl-C gives only seconds to end, nor to pytest, which keeps three."""
    if not hasattr(config, "workerinput"):
        for name in FOLDERS:
            shutil.rmtree(os.environ[name], ignore_errors=True)


class EnginesTogether(LoadScopeScheduling):
    """Tests go to whichever worker is free, those of tests/docker/ all to one, whose daemon and image they share.

    That is --dist=loadgroup, which pytest 9.2 and pytest-xdist 3.8 together have lost (pytest-xdist's issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return "docker" if nodeid.startswith("tests/docker/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> EnginesTogether:
    return EnginesTogether(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI every test runs: one that was skipped fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # xdist's workers have none
    if reporter and os.environ.get("CI") and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
