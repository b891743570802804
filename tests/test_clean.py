"""make clean, and the gate: what the lab made is removed and named; what it did not make stays as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import in_namespace

STAMP = "sha256 " + "0" * 64 + "\nrepository /elsewhere\n"


def write(*paths: Path, text: str = "years of work") -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make_venv(folder: Path) -> None:
    """Make what tells that a folder is a venv of the lab's."""
    write(folder / "pyvenv.cfg", text="home = /usr/bin\nprompt = robotics-lab\n")
    write(folder / ".requirements_hash", text=STAMP)


def test_clean_leaves_what_the_lab_did_not_make(clone, tmp_path):
    """VENV is a name that other projects export; other names are like those of the lab."""
    theirs, here = tmp_path / "theirs", clone.path
    mine = [
        theirs / "thesis.tex",
        tmp_path / "theirs.lab/new/thesis.tex",
        tmp_path / "elsewhere/__pycache__/thesis.tex",
    ]
    mine += [here / name / "thesis.tex" for name in (".lock.mine", ".kit.mine", "mine.egg-info", "mine/__pycache__")]
    mine += [here / "proof/mine.zip", here / "proof/tensorboard/PPO_1/events", here / ".ppo_smoke-best.zip"]
    write(*mine)
    write(theirs / ".requirements_hash", text="of another project\n")
    write(here / "kit/kit.txt", text="a carpenter's kit\n")
    (here / "linked").symlink_to(tmp_path / "elsewhere")
    write(here / "proof/train.json", here / "proof/tensorboard/ppo_smoke_1/events", here / ".lock.new/tree/x")
    run = clone.ok("make", "clean", VENV=str(theirs))
    assert [path for path in [*mine, theirs / ".requirements_hash", here / "kit/kit.txt"] if not path.exists()] == []
    assert run.stdout.splitlines() == [
        f"kept {theirs}.lab: the lab did not make it",
        f"kept {theirs}: the lab did not make it",
        "kept kit: the lab did not make it",
        "removed proof/train.json",
        "removed proof/tensorboard/ppo_smoke_1",
        "kept proof: mine.zip tensorboard",
        "removed .lock.new",
    ]


def test_clean_removes_what_an_earlier_version_left_beside_a_venv(clone):
    make_venv(clone.venv)
    make_venv(clone.path / ".venv.lab/parked")
    write(clone.path / ".venv.lab/lock", text="")
    run = clone.ok("make", "clean")
    assert run.stdout == "removed .venv.lab\nremoved .venv\n"
    assert not clone.venv.exists() and not (clone.path / ".venv.lab").exists()


def test_clean_does_not_run_beside_a_build(clone):
    make_venv(clone.venv)
    lock = clone.path / ".venv.lab/lock"
    write(lock, text="")
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as build:
        while subprocess.run(["flock", "--nonblock", lock, "true"], check=False).returncode == 0:
            pass
        run = clone.run("make", "clean")
        build.stdin.close()
    assert "error: another run is at work here: .venv.lab/lock is locked\nfix: wait until " in run.stderr
    assert run.stdout == "" and clone.venv.exists()
    clone.ok("make", "clean")
    assert not clone.venv.exists()


def test_clean_finishes_a_lock_that_was_cut_off(clone):
    """What lies in .lock.ready/ counts: its files follow those that are installed already."""
    write(clone.path / ".lock.ready/checks/mujoco_golden.json", text="the new one")
    clone.ok("make", "clean")
    assert (clone.path / "checks/mujoco_golden.json").read_text() == "the new one"
    assert not (clone.path / ".lock.ready").exists()


def test_folder_beside_the_venv_of_someone_elses_is_not_used(clone, tmp_path):
    thesis = tmp_path / "x.lab/new/thesis.tex"
    write(thesis)
    run = clone.run("make", "venv", VENV=str(tmp_path / "x"))
    assert f"error: {tmp_path}/x.lab exists, and the lab did not make it\nfix: make verify VENV=" in run.stderr
    assert thesis.read_text() == "years of work" and "building" not in run.stderr
    write(tmp_path / "y/.requirements_hash", text="of another project\n")
    run = clone.run("make", "venv", VENV=str(tmp_path / "y"))
    assert f"error: {tmp_path}/y exists, and the lab did not make it\n" in run.stderr


def test_venv_behind_a_link_to_an_empty_folder(clone, tmp_path):
    large = tmp_path / "a large disk/v"
    large.mkdir(parents=True, mode=0o700)
    clone.venv.symlink_to(large)
    clone.ok("make", "venv")
    assert clone.venv.is_symlink() and large.stat().st_mode & 0o777 == 0o700
    assert clone.ok("make", "venv").stderr == ""
    run = clone.ok("make", "clean")
    assert run.stdout.splitlines()[:2] == [f"removed {large}.lab", f"emptied {large}, removed the link .venv"]
    assert list(large.parent.iterdir()) == [large] and list(large.iterdir()) == []
    assert not clone.venv.is_symlink()
    assert clone.ok("make", "clean").stdout == ""


@pytest.mark.parametrize("place", ["a mount point", "in a folder that is read-only"])
def test_folder_that_cannot_be_renamed_is_named_with_a_way_out(clone, tmp_path, place):
    large = tmp_path / "disk"
    large.mkdir()
    clone.venv.symlink_to(large)
    mounts, run = f"mount -t tmpfs tmpfs '{large}'", lambda *command: in_namespace(mounts, *command)
    if "read-only" in place:
        tmp_path.chmod(0o555)
        run = lambda *command: ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command)  # noqa: E731
    fix = f"ln -sfn '{large}/venv' '.venv'"
    script = f"make venv; {fix}; timeout -s INT 3 make venv"
    said = clone.run(*run("bash", "-c", script)).stderr
    tmp_path.chmod(0o755)
    why = "it is a mount point" if place == "a mount point" else f"{tmp_path} is not writable"
    assert (
        said.startswith("error: ")
        and f" cannot be replaced by a new venv: {why}\nfix: {fix}; then: make venv\n" in said
    ), said
    assert "venv: building" in said or "venv: another run is at work" in said  # of torch's base layer, which is shared


def test_cdpath_leads_to_no_other_clone(lab, clone, tmp_path):
    other = tmp_path / "another clone"
    write(clone.path / "smoke_frame.png", other / "smoke_frame.png")
    shutil.copytree(clone.path / "docker", other / "docker")
    shutil.copytree(clone.path / "env", other / "env")
    assert clone.ok("make", "clean", CDPATH=str(other)).stdout == "removed smoke_frame.png\n"
    assert (other / "smoke_frame.png").exists()
    assert "ok        venv " in lab.ok("make", "venv", CDPATH=str(other)).stdout
