"""The locks: nothing in them that does not belong, and an installable file for every pin on every platform."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT, torch_wheel
from packaging.requirements import Requirement

LOCKS = ["requirements.txt", "env/torch-cpu-needs.txt", "env/uv.txt"]
PLATFORMS = [(python, arch) for python in ("3.11", "3.12", "3.13") for arch in ("x86_64", "aarch64")]
# Wheels for glibc 2.31 (Debian 11, Ubuntu 20.04) and older.
GLIBC = ["manylinux_2_31", "manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014"]
# Pins that have a wheel with compiled code on one of the two architectures and not on the other.
PURE_FALLBACKS = {("tensorboard-data-server", "aarch64")}  # TensorBoard then reads its logs in Python


def pins(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Name to version and hashes of a lock."""
    blocks = re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for block in blocks:
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", block).groups()
        found[name] = version, set(re.findall(r"sha256:([0-9a-f]{64})", block))
    return found


def would_install(lock: str, python: str, arch: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Name to file and sha256 of what pip would take from the index for a platform; downloads no wheel."""
    report = folder / f"{Path(lock).stem}-{python}-{arch}.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--platform={glibc}_{arch}" for glibc in GLIBC]
    command += [f"--target={folder}/none", f"--report={report}", f"--requirement={ROOT / lock}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{lock} on Python {python} {arch}:\n{run.stderr}"
    found = {}
    for item in json.loads(report.read_text())["install"]:
        info = item["download_info"]
        name = item["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
        found[name] = info["url"].rpartition("/")[2], info["archive_info"]["hashes"]["sha256"]
    return found


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> dict[tuple[str, str, str], dict[str, tuple[str, str]]]:
    """What would be installed, by lock, Python and architecture; from the real index."""
    folder = tmp_path_factory.mktemp("reports")
    keys = [(lock, *platform) for lock in LOCKS for platform in PLATFORMS]
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(keys, pool.map(lambda key: would_install(*key, folder), keys), strict=True))


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(("python", "arch"), PLATFORMS)
def test_every_pin_has_a_file_whose_hash_is_locked(index, lock, python, arch):
    locked, offered = pins(lock), index[lock, python, arch]
    assert set(offered) == set(locked)
    for name, (file, sha256) in offered.items():
        assert sha256 in locked[name][1], f"{file} is not in {lock}"
        assert file.endswith(".whl")


def test_fallbacks_to_pure_wheels_are_the_known_ones(index):
    fallbacks = set()
    for lock in LOCKS:
        for python in ("3.11", "3.12", "3.13"):
            files = {arch: index[lock, python, arch] for arch in ("x86_64", "aarch64")}
            for name in files["x86_64"]:
                pure = {arch for arch in files if files[arch][name][0].endswith("-none-any.whl")}
                if len(pure) == 1:
                    fallbacks.add((name, *pure))
    assert fallbacks == PURE_FALLBACKS


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_no_torch_and_nothing_only_torch_needs(lock):
    foreign = re.compile(r"torch$|triton|nvidia-|cuda|cudnn|cublas|nccl")
    assert not [name for name in pins(lock) if foreign.match(name)]


@pytest.mark.parametrize("lock", [*LOCKS, "env/torch-cpu.txt"])
def test_lock_holds_no_settings_of_the_machine_that_made_it(lock):
    options = re.findall(r"^\s*(--(?!hash)\S+|-[a-z] \S+)", (ROOT / lock).read_text(), re.MULTILINE)
    assert not options


def test_lock_satisfies_requirements_in():
    locked = pins("requirements.txt")
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines())
    for requirement in map(Requirement, filter(None, lines)):
        if requirement.name != "torch":
            version, _ = locked[requirement.name]
            assert requirement.specifier.contains(version, prereleases=True), requirement


def test_torch_is_locked_for_every_platform():
    """Its index is not to be reached from everywhere; the wheels that pip's find-links offer here are compared."""
    text = (ROOT / "env/torch-cpu.txt").read_text()
    version, hashes = pins("env/torch-cpu.txt")["torch"]
    listed = re.findall(r"cp(3)(\d\d) (x86_64|aarch64)", text)
    assert [(f"{major}.{minor}", arch) for major, minor, arch in listed] == PLATFORMS
    assert len(hashes) == len(PLATFORMS)
    assert version.endswith("+cpu")


def test_torch_wheel_here_has_a_locked_hash():
    _, hashes = pins("env/torch-cpu.txt")["torch"]
    assert hashlib.sha256(torch_wheel().read_bytes()).hexdigest() in hashes


def test_mujoco_that_breaks_fetch_is_out_of_bounds():
    (bound,) = re.findall(r"^mujoco(.*)$", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    specifier = Requirement(f"mujoco{bound}").specifier
    assert not specifier.contains("3.12.0")
    assert not specifier.contains("4.0.0")
    assert specifier.contains(pins("requirements.txt")["mujoco"][0])
