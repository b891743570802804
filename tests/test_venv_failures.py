"""The gate (env/venv.sh): whatever happens to a build, it ends right, or the old venv stays and the reason is said."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import assert_right, identity, in_namespace, stamp

from env.lock.resolve import PYTHONS


def test_lock_that_cannot_be_installed_leaves_the_old_venv(clone):
    clone.ok("make", "venv")
    old = identity(clone), stamp(clone)
    lock = clone.path / "requirements.txt"
    text = lock.read_text()
    lock.write_text(
        re.sub(r"(tqdm==.*\n +--hash=sha256:).{8}(.*\n +--hash=sha256:).{8}", r"\g<1>00000000\g<2>00000000", text)
    )
    run = clone.run("make", "venv")
    assert run.returncode != 0
    assert "error: venv:" in run.stderr and "tqdm" in run.stderr and "\nfix: " in run.stderr
    assert "Traceback" not in run.stderr
    assert (identity(clone), stamp(clone)) == old
    assert clone.leftovers() == []
    lock.write_text(text)
    assert_right(clone)


def runs(program: str) -> bool:
    return subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0


def test_old_python_is_refused_and_the_old_venv_stays(lab, tmp_path):
    old = next((path for name in ("python3.9", "python3.10") if (path := shutil.which(name)) and runs(path)), None)
    if old is None:  # none is installed, and where would one come from: today's Python, which says that it is 3.9
        (tmp_path / "old.py").write_text(
            "import sys; sys.version_info = (3, 9, 0); sys.argv = sys.argv[2:]; exec(open(sys.argv[0]).read())"
        )
        old = tmp_path / "python3.9"
        old.write_text(f"#!/bin/sh\nexec {lab.environment['PYTHON']} '{tmp_path}/old.py' \"$@\"\n")
        old.chmod(0o755)
    before = identity(lab)
    run = lab.run("make", "venv", PYTHON=str(old))
    assert run.returncode != 0
    assert re.search(rf"^error: python .* is not one of {', '.join(PYTHONS)}$", run.stderr, re.MULTILINE)
    assert re.search(r"^fix: make verify PYTHON=", run.stderr, re.MULTILINE)
    assert "Traceback" not in run.stderr and "SyntaxError" not in run.stderr
    assert identity(lab) == before


def test_machine_that_the_lock_is_not_made_for_is_told_so_first(clone):
    """The kernel says so itself: of a 64-bit machine, with a 32-bit personality."""
    run = clone.run("setarch", "linux32", "make", "venv")
    assert run.returncode != 0
    machine = r"error: this machine is (i686|armv8l); requirements\.txt is made for x86_64, aarch64\nfix: "
    assert re.search(machine, run.stderr), run.stderr
    assert "building" not in run.stderr and not clone.venv.exists()


def test_python_that_is_not_there_is_wrong_usage(lab):
    run = lab.run("docker/dev.sh", "true", PYTHON="nosuch")
    assert run.returncode == 2
    assert run.stderr.startswith("error: PYTHON=nosuch is not a program on this machine\nfix: ")


def test_python_that_does_not_run_is_one_clear_error(lab, tmp_path):
    broken = tmp_path / "python3"  # as a pyenv shim whose version is not installed
    broken.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    broken.chmod(0o755)
    run = lab.run("docker/dev.sh", "true", PYTHON=str(broken))
    assert run.returncode == 2
    assert f"error: {broken} does not work as a Python\nfix: " in run.stderr


def test_two_builds_at_once_one_waits(clone):
    first = clone.start("make", "venv")
    time.sleep(1.0)
    second = clone.start("make", "venv")
    said = [process.communicate(timeout=600)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    assert sum("installing requirements.txt" in text for text in said) == 1
    assert sum("waiting for it" in text for text in said) == 1
    assert_right(clone)


# Seconds into a build that takes about ten: in uv's first step, in its second, and in the proof.
@pytest.mark.parametrize(
    "moment",
    [
        "installing requirements.txt",
        "installing the project",
        pytest.param("venv: building .venv", marks=pytest.mark.slow),
    ],
)
def test_killed_build_is_repaired_by_the_next(clone, moment):
    build = clone.start("make", "venv")
    for line in build.stderr:
        if moment in line:
            break
    time.sleep(0.3)
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    assert build.returncode != 0
    clone.ok("make", "venv")
    assert_right(clone)


def test_killed_between_the_renames_the_old_venv_comes_back(lab):
    before = identity(lab)
    lab.venv.rename(lab.path / ".venv.lab/old")
    (lab.path / ".venv.lab/new/bin").mkdir(parents=True)
    run = lab.ok("make", "venv")
    assert "building" not in run.stderr
    assert identity(lab) == before
    shutil.rmtree(lab.path / ".venv.lab/new")


def test_interrupted_build_leaves_the_old_venv_and_nothing_else(clone):
    clone.ok("make", "venv")
    old = identity(clone)
    (clone.path / "requirements.txt").open("a").write("# a change\n")
    build = clone.start("make", "venv")
    for line in build.stderr:
        if "installing requirements.txt" in line:
            break
    os.killpg(build.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    err = build.communicate(timeout=60)[1]
    assert build.returncode != 0
    assert "Traceback" not in err
    assert identity(clone) == old
    assert clone.leftovers() == []


def test_no_network_on_first_build_is_one_clear_error(clone, tmp_path):
    run = clone.run("unshare", "--map-root-user", "--net", "make", "venv", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert run.returncode != 0
    assert "error: venv: packages cannot be fetched: there is no network" in run.stderr
    assert run.stderr.count("\nfix: ") == 1
    assert "Traceback" not in run.stderr
    assert not clone.venv.exists() and clone.leftovers() == []
    assert [path.name for path in (tmp_path / "cache").glob("robotics-lab/*")] == ["base.lock"]


def test_full_disk_is_one_clear_error_and_leaves_nothing(clone, tmp_path):
    small = tmp_path / "small disk"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=150m tmpfs '{small}'; cp -a . '{small}/clone'; cd '{small}/clone'"
    script = "make venv; status=$?; echo left: .venv*/*; exit $status"
    run = clone.run(*in_namespace(mount, "bash", "-c", script), UV_CACHE_DIR=str(tmp_path / "uv"))
    assert run.returncode != 0
    assert "error: venv: the disk is full" in run.stderr
    assert "Traceback" not in run.stderr
    assert "left: .venv.lab/lock\n" in run.stdout


def test_folder_of_someone_elses_is_not_touched(lab, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("years of work")
    run = lab.run("docker/dev.sh", "true", VENV=str(theirs))
    assert run.returncode == 1
    assert "the lab did not make it" in run.stderr
    assert (theirs / "thesis.tex").read_text() == "years of work"
    lab.ok("make", "clean", VENV=str(theirs))
    assert (theirs / "thesis.tex").exists()
    lab.ok("make", "venv")
