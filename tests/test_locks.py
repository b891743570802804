"""Of two runs that write in the same place one waits; where the file system cannot lock, that is the error."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from conftest import ROOT, Clone, make_cache


def without_locks(folder: Path, kind: str, *command: str) -> tuple[str, ...]:
    """The command, for which `folder` is on a file system that locks as this kind does: none, or nfs4."""
    return (sys.executable, str(ROOT / "tests/faults/without_locks.py"), str(folder), kind, *command)


def refused(clone: Clone, folder: Path, *command: str, **environment: str) -> str:
    """Run a command that needs a lock under `folder`, where there is none; return the remedy, which is all it says."""
    run = clone.run(*without_locks(folder, "none", *command), **environment)
    assert run.returncode, run.stdout
    said = re.search(r"^error: (.+) cannot be locked: No locks available\nfix: (.+)$", run.stderr, re.MULTILINE)
    assert said and Path(said[1]).is_relative_to(folder), run.stderr
    assert not re.search(r"waiting|flock|Traceback|building", run.stderr), run.stderr
    return said[2]


def test_venv_and_base_layer_on_a_file_system_without_locks_are_named_with_a_way_out(clone, tmp_path):
    make = ["make", "venv"]
    cache = make_cache(tmp_path / "a cache")
    fix = refused(clone, tmp_path, *make, XDG_CACHE_HOME=cache)
    assert fix == "make verify VENV=/a/folder/on/a/local/disk"
    clone.environment["VENV"] = f"{clone.environment['XDG_CACHE_HOME']}/venv of {tmp_path.name}"
    fix = refused(clone, tmp_path, *make, XDG_CACHE_HOME=cache)
    assert fix == "make verify XDG_CACHE_HOME=/a/folder/on/a/local/disk"
    assert refused(clone, tmp_path, "make", "clean-cache", XDG_CACHE_HOME=cache).startswith(
        f"rm -r '{cache}/robotics-lab'"
    )
    build = clone.start(*without_locks(tmp_path, "none", *make))
    assert any("venv: building" in line for line in build.stderr)  # which it says once it has both locks
    os.killpg(build.pid, signal.SIGINT)
    build.communicate(timeout=60)
    clone.ok("make", "clean")


def test_uvs_cache_on_a_file_system_without_locks_is_named_with_a_way_out(clone, tmp_path):
    """Where the user keeps it apart from the rest of the cache."""
    cache = tmp_path / "cache of uv"
    run = clone.run(*without_locks(cache, "none", "make", "venv"), UV_CACHE_DIR=str(cache))
    fix = "unset UV_CACHE_DIR; make venv XDG_CACHE_HOME=/a/folder/on/a/local/disk"
    said = f"error: venv: uv's cache is on a file system that has no locks; where is above\nfix: {fix}\n"
    assert said in run.stderr, run.stderr
    assert not clone.venv.exists() and clone.leftovers() == []


def test_lock_and_kit_on_a_file_system_without_locks_are_named_with_a_way_out(lab, tmp_path):
    fixes = {refused(lab, lab.path, "make", verb) for verb in ("lock", "kit")}
    assert fixes == {f"cp -a '{lab.path}' /a/local/disk, and work there"}
    ready = lab.path / ".lock.ready"
    ready.mkdir()
    assert refused(lab, lab.path, "make", "venv") in fixes  # a make lock that was killed is to be finished
    ready.rmdir()
    swap = ["python", "-I", "env/lock/swap.py"]
    assert refused(lab, lab.path, *swap) in fixes
    Clone(tmp_path / "a copy").ok(*without_locks(lab.path, "none", *swap))


def test_nfs4_locks_what_is_open_for_writing(lab):
    run = lab.run(*without_locks(lab.path, "nfs4", "make", "kit", "PLATFORM=typo"))
    assert "error: PLATFORM=typo is not one of " in run.stderr, run.stderr  # which it says once it has the lock


def test_second_kit_waits_and_says_so(lab):
    with subprocess.Popen(["flock", lab.path / "env/lock/make_kit.sh", "cat"], stdin=subprocess.PIPE) as first:
        threading.Timer(2.0, first.stdin.close).start()
        run = lab.run("make", "kit", "PLATFORM=typo")
    assert run.stderr.startswith("kit: another make kit is running; waiting for it\nerror: PLATFORM=typo"), run.stderr
