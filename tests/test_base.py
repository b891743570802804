"""The lab's own base layer (env/base.sh): torch's CPU wheel in the user's cache, once for all clones, always whole."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import (
    Clone,
    assert_right,
    bare_python,
    base_torch,
    identity,
    in_namespace,
    make_cache,
    site_packages,
    stamp,
)

pytestmark = pytest.mark.skipif(
    subprocess.run(
        [bare_python(), "-c", "import importlib.metadata as m; m.version('torch')"], capture_output=True
    ).returncode
    == 0,
    reason="the interpreter under the tests has torch, and is the base layer",
)
NO_NETWORK = ("unshare", "--map-root-user", "--net")


def cached(clone: Clone) -> list[str]:
    """What the lab keeps in this clone's cache, less uv."""
    folder = Path(clone.environment["XDG_CACHE_HOME"], "robotics-lab")
    return sorted(path.name for path in folder.glob("*") if not path.name.startswith("uv-"))


def base_layer(clone: Clone) -> Path:
    return Path(re.search(r"^base \w+ (.+)$", stamp(clone), re.MULTILINE).group(1))


def assert_whole(clone: Clone) -> None:
    """The venv is right and stands on a base layer that is; nothing lies beside either."""
    assert_right(clone)
    clone.ok("docker/dev.sh", "python", "-c", "import torch, sympy, networkx; torch.ones(2) @ torch.ones(2)")
    base = base_layer(clone).name
    assert cached(clone) == sorted(["base.lock", base, f"{base}.venvs"])


def test_torch_is_in_the_base_layer_and_not_in_the_venv(lab):
    assert not list(site_packages(lab).glob("torch*")) and not (site_packages(lab) / "sympy").exists()
    version, folder = base_torch(lab)
    assert Path(folder).is_relative_to(base_layer(lab)) and version in (lab.path / "env/torch-cpu.txt").read_text()
    where = lab.ok("docker/dev.sh", "python", "-c", "import torch; print(torch.__file__)").stdout.strip()
    assert where == f"{folder}/torch/__init__.py"
    assert "usage: torchrun" in lab.ok("docker/dev.sh", "torchrun", "--help").stdout


def test_clones_share_it(lab, clone):
    before = base_layer(lab).stat().st_ino
    assert "base layer" not in clone.ok("make", "venv").stderr
    assert base_layer(clone) == base_layer(lab) and base_layer(lab).stat().st_ino == before
    clone.ok("make", "clean")
    assert not clone.venv.exists() and base_layer(lab).stat().st_ino == before


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Clone:
    """A clone whose venv is built, with a cache of its own, for tests that damage its base layer."""
    folder = tmp_path_factory.mktemp("alone")
    clone = Clone(folder / "a clone")
    clone.environment["XDG_CACHE_HOME"] = make_cache(folder / "a cache")
    run = clone.ok("make", "venv")
    assert f"venv: building the base layer {base_layer(clone)} (there is none yet)\n" in run.stderr
    return clone


SLOW = pytest.mark.slow  # a base layer is 0.8 GB: of each group one is quick


@pytest.mark.parametrize(
    "fault", ["file cut short", *(pytest.param(fault, marks=SLOW) for fault in ("all gone", "stamp gone", "file gone"))]
)
def test_damaged_base_layer_is_built_again_and_the_venv_stays(alone, fault):
    venv, base, torch = identity(alone), base_layer(alone), Path(base_torch(alone)[1], "torch")
    if fault == "all gone":
        shutil.rmtree(base)
    elif fault == "stamp gone":
        (base / ".requirements_hash").unlink()
    elif fault == "file gone":
        (torch / "optim/adam.py").unlink()
    elif fault == "file cut short":
        os.truncate(torch / "lib/libtorch_cpu.so", 100)
    run = alone.ok("docker/dev.sh", "python", "-c", "import torch.optim.adam")
    assert f"venv: building the base layer {base} (" in run.stderr and "venv: building .venv" not in run.stderr
    if fault.startswith("file"):
        assert re.search(r"\(damaged: \S*(optim/adam.py|libtorch_cpu.so) is not as installed\)", run.stderr)
    assert identity(alone) == venv
    assert_whole(alone)


@pytest.mark.parametrize(
    "moment",
    [
        "env/torch-cpu.txt",
        pytest.param("building the base layer", marks=SLOW),
        pytest.param("env/torch-cpu-needs.txt", marks=SLOW),
    ],
)
def test_killed_build_is_repaired_by_the_next(alone, moment):
    shutil.rmtree(base_layer(alone))
    build = alone.start("make", "venv")
    next(line for line in build.stderr if moment in line)
    time.sleep(0.3)
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    alone.ok("make", "venv")
    assert_whole(alone)


def test_two_clones_at_once_build_one(alone, clone):
    clone.environment["XDG_CACHE_HOME"] = alone.environment["XDG_CACHE_HOME"]
    shutil.rmtree(base_layer(alone))
    builds = [one.start("make", "venv") for one in (alone, clone)]
    said = [build.communicate(timeout=600)[1] for build in builds]
    assert [build.returncode for build in builds] == [0, 0], said
    assert sum("building the base layer" in text for text in said) == 1
    assert_whole(alone)
    assert_whole(clone)


@SLOW
def test_no_network_is_needed_where_it_is_there(lab, clone, tmp_path):
    """From a kit without torch; and where there is no base layer, that is what is wrong."""
    kit = tmp_path / "kit"
    lab.ok("make", "kit", KIT=str(kit), TORCH="0")
    clone.ok(*NO_NETWORK, "make", "venv", KIT=str(kit))
    assert_right(clone)
    run = clone.run(*NO_NETWORK, "make", "venv", KIT=str(kit), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "error: venv: the kit has no torch, and neither has this interpreter\nfix: make kit TORCH=1\n" in run.stderr
    assert clone.leftovers() == []


def test_cache_that_cannot_be_written_is_one_clear_error(clone):
    run = clone.run("make", "venv", XDG_CACHE_HOME="/proc/nowhere")
    assert (
        "error: venv: torch cannot be kept in /proc/nowhere/robotics-lab: it is not writable\n"
        "fix: make verify XDG_CACHE_HOME=/a/folder/that/is/yours\n"
    ) in run.stderr
    assert not clone.venv.exists()


@SLOW
def test_cache_of_an_administrators_is_read(lab, clone):
    """Mounted read-only; uv's own cache is the user's."""
    cache = clone.environment["XDG_CACHE_HOME"]
    read_only = (
        f"mount --bind '{cache}/robotics-lab' '{cache}/robotics-lab'; mount -o remount,bind,ro '{cache}/robotics-lab'"
    )
    run = clone.ok(*in_namespace(read_only, "make", "venv"))
    assert "base layer" not in run.stderr and base_layer(clone) == base_layer(lab)


def test_no_home_is_one_clear_error(clone):
    """As a uid without a name has none, in a container that is not the lab's."""
    nameless = "for file in passwd nsswitch.conf; do mount --bind /dev/null /etc/$file; done; unset HOME XDG_CACHE_HOME"
    run = clone.run(*in_namespace(nameless, "make", "venv"))
    assert "error: there is no home folder to keep torch in\nfix: export HOME=/a/folder/that/is/yours\n" in run.stderr
    assert not clone.venv.exists()


def test_full_cache_is_one_clear_error_and_leaves_nothing(clone, tmp_path):
    """As a quota is: the clone has room, the cache has none."""
    small = tmp_path / "a small cache"
    small.mkdir()
    clone.environment["UV_CACHE_DIR"] = f"{clone.environment['XDG_CACHE_HOME']}/uv"
    script = f"make venv; status=$?; ls '{small}/robotics-lab'; exit $status"
    run = clone.run(
        *in_namespace(f"mount -t tmpfs -o size=150m tmpfs '{small}'", "bash", "-c", script), XDG_CACHE_HOME=str(small)
    )
    assert run.returncode != 0
    assert "error: venv: the disk is full" in run.stderr and run.stderr.count("\nfix: ") == 1
    assert [name for name in run.stdout.split() if name.startswith("base")] == ["base.lock"]


def test_clean_cache_removes_what_no_venv_stands_on(alone):
    base, venv = base_layer(alone), alone.venv
    other = base.with_name("base-py3.99-x86_64-000000000000")
    (other / "lib").mkdir(parents=True)
    said = alone.ok("make", "clean-cache").stdout.splitlines()
    assert len(said) == 2 and f"kept {base}: {venv} stands on it" in said
    assert any(line.startswith(f"removed {other}, ") for line in said)
    assert_whole(alone)
    alone.ok("make", "clean")
    assert f"removed {base}, " in alone.ok("make", "clean-cache").stdout
    assert cached(alone) == ["base.lock"]
    build = alone.start("make", "venv")  # which has no stamp yet to name its base layer
    next(line for line in build.stderr if "venv: building .venv" in line)
    run = alone.run("make", "clean-cache")
    assert "error: a base layer in " in run.stderr and "\nfix: wait " in run.stderr
    build.communicate(timeout=600)
    assert build.returncode == 0
    assert_whole(alone)
