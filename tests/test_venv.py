"""The gate (env/venv.sh): whatever happens to the venv, it ends right, or the old one stays and the reason is said."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Clone, in_namespace


def stamp(clone: Clone) -> str:
    return (clone.venv / ".requirements_hash").read_text()


def identity(clone: Clone) -> int:
    """Another number once the venv was rebuilt."""
    return clone.venv.stat().st_ino


def site_packages(clone: Clone) -> Path:
    (folder,) = clone.venv.glob("lib/python*/site-packages")
    return folder


def assert_right(clone: Clone) -> None:
    """The venv is current, proven by the lock and by an import, and nothing lies beside it."""
    before = identity(clone)
    run = clone.ok("make", "venv")
    assert identity(clone) == before
    assert "building" not in run.stderr
    assert re.search(r"^ok        venv ", run.stdout, re.MULTILINE)
    clone.ok(".venv/bin/python", "env/prove.py")
    assert clone.leftovers() == []


def test_fresh_clone_gets_a_venv_that_equals_the_lock(lab):
    assert_right(lab)
    versions = lab.ok(".venv/bin/python", "-m", "pip", "freeze", "--local").stdout
    for pin in re.findall(r"^[\w.-]+==[^\s\\]+", (lab.path / "requirements.txt").read_text(), re.MULTILINE):
        name, version = pin.split("==")
        if name not in ("pip", "setuptools", "wheel"):  # pip freeze leaves them out
            assert re.search(rf"^{name.replace('-', '[-_.]')}=={re.escape(version)}$", versions, re.M | re.I), pin


def test_current_venv_is_not_built_again(lab):
    before = stamp(lab), identity(lab)
    run = lab.ok("make", "venv")
    assert (stamp(lab), identity(lab)) == before
    assert run.stderr == ""


def test_build_says_which_torch_and_from_where(lab):
    assert re.search(
        r"torch 2\.\d+\.\d+\S* \((the base layer's, /|the CPU wheel of env/torch-cpu\.txt)",
        lab.ok("make", "venv").stdout,
    )


def test_stamp_is_inside_and_names_what_it_vouches_for(lab):
    lines = dict(line.split(" ", 1) for line in stamp(lab).splitlines())
    assert re.fullmatch("[0-9a-f]{64}", lines["sha256"])
    assert {"requirements.txt", "python", "version", "machine", "torch", "image"} <= set(lines)


def test_project_is_installed_editable(lab):
    found = lab.ok(".venv/bin/python", "-c", "import checks; print(checks.__file__)").stdout.strip()
    assert Path(found).parent.parent == lab.path
    assert "FetchReach-v4" in lab.ok(".venv/bin/proof-of-life", "list-envs").stdout


def test_deleted_venv_is_rebuilt(clone):
    clone.ok("make", "venv")
    shutil.rmtree(clone.venv)
    assert "building .venv (there is none yet)" in clone.ok("make", "venv").stderr
    assert_right(clone)


@pytest.mark.parametrize("fault", ["stamp gone", "stamp wrong", "file gone", "file cut short", "interpreter gone"])
def test_corrupted_venv_is_rebuilt(lab, fault):
    if fault == "stamp gone":
        (lab.venv / ".requirements_hash").unlink()
    elif fault == "stamp wrong":
        (lab.venv / ".requirements_hash").write_text("\0garbage\n")
    elif fault == "file gone":
        shutil.rmtree(site_packages(lab) / "stable_baselines3/ppo")
    elif fault == "file cut short":
        os.truncate(site_packages(lab) / "mujoco/__init__.py", 100)
    elif fault == "interpreter gone":
        (lab.venv / "bin/python").unlink()
    run = lab.ok("make", "venv")
    assert "building .venv" in run.stderr
    if fault.startswith("file"):
        assert re.search(r"damaged: \S*(stable_baselines3/ppo|mujoco/__init__.py)", run.stderr)
    assert_right(lab)


def test_package_of_the_users_own_does_not_force_a_rebuild(lab):
    before = identity(lab)
    (site_packages(lab) / "my_notes.py").write_text("")
    lab.ok("make", "venv")
    assert identity(lab) == before
    (site_packages(lab) / "my_notes.py").unlink()


def test_changed_lock_is_installed(clone):
    clone.ok("make", "venv")
    lock = clone.path / "requirements.txt"
    text = lock.read_text()
    # One package less stands for any change of the lock; wandb is needed by no check.
    lock.write_text(re.sub(r"^wandb==(?:.*\n)(?:    .*\n)*", "", text, flags=re.MULTILINE))
    assert lock.read_text() != text
    assert "changed: requirements.txt" in clone.ok("make", "venv").stderr
    assert not (site_packages(clone) / "wandb").exists()
    assert_right(clone)


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


def test_another_interpreter_makes_another_venv(lab, tmp_path):
    """A second interpreter of a supported version: one in a virtual environment of its own, with packages."""
    base = tmp_path / "base"
    subprocess.run([lab.environment["PYTHON"], "-m", "venv", base], check=True)
    (only_here,) = base.glob("lib/python*/site-packages")
    (only_here / "of_the_base_layer.py").write_text("x = 1\n")
    run = lab.ok("make", "venv", PYTHON=str(base / "bin/python"))
    assert re.search(r"changed: .*prefix", run.stderr)
    # What the base layer has, the lab sees, although --system-site-packages means those under `base`.
    lab.ok(".venv/bin/python", "-c", "import of_the_base_layer")
    assert_right_with = lab.ok("make", "venv", PYTHON=str(base / "bin/python"))
    assert "building" not in assert_right_with.stderr
    assert "building" in lab.ok("make", "venv").stderr
    assert_right(lab)


def test_base_layers_torch_is_taken_and_no_other_installed(lab, tmp_path):
    """A base layer that has torch, made of the wheel's own files; their version is the base's, not the lock's."""
    base = tmp_path / "base"
    subprocess.run([lab.environment["PYTHON"], "-m", "venv", base], check=True)
    (packages,) = base.glob("lib/python*/site-packages")
    torch = site_packages(lab)
    (info,) = torch.glob("torch-*.dist-info")
    version = "2.13.0a0+base.nv25.12"
    for name in ("torch", "torchgen", "functorch"):
        (packages / name).symlink_to(torch / name)
    for needed in ("sympy", "mpmath", "networkx", "filelock"):
        (packages / needed).symlink_to(torch / needed)
    (packages / f"torch-{version}.dist-info").mkdir()
    metadata = re.sub(r"^Version: .*$", f"Version: {version}", (info / "METADATA").read_text(), flags=re.MULTILINE)
    (packages / f"torch-{version}.dist-info/METADATA").write_text(metadata)

    other = {"PYTHON": str(base / "bin/python"), "VENV": str(tmp_path / "on base")}
    run = lab.ok("make", "venv", **other)
    assert f"torch {version} (the base layer's, {packages})" in run.stdout
    (installed,) = (tmp_path / "on base").glob("lib/python*/site-packages")
    assert not list(installed.glob("torch*"))
    assert not (installed / "sympy").exists()


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
    assert re.search(r"^error: python .* is not one of 3\.11, 3\.12, 3\.13$", run.stderr, re.MULTILINE)
    assert re.search(r"^fix: make verify PYTHON=", run.stderr, re.MULTILINE)
    assert "Traceback" not in run.stderr and "SyntaxError" not in run.stderr
    assert identity(lab) == before


def test_python_that_is_not_there_is_wrong_usage(lab):
    run = lab.run("docker/dev.sh", "true", PYTHON="nosuch")
    assert run.returncode == 2
    assert run.stderr.startswith("error: PYTHON=nosuch is not a program here\nfix: ")


def test_python_that_does_not_run_is_one_clear_error(lab, tmp_path):
    broken = tmp_path / "python3"  # as a pyenv shim whose version is not installed
    broken.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    broken.chmod(0o755)
    run = lab.run("docker/dev.sh", "true", PYTHON=str(broken))
    assert run.returncode == 2
    assert f"error: {broken} does not run as a Python\nfix: " in run.stderr


def test_active_venv_is_not_its_own_base(lab):
    before = identity(lab)
    path = f"{lab.venv}/bin:{lab.environment['PATH']}"
    run = lab.ok("make", "venv", PYTHON="python3", PATH=path, VIRTUAL_ENV=str(lab.venv))
    assert "building" not in run.stderr
    assert identity(lab) == before


def test_two_builds_at_once_one_waits(clone):
    first = clone.start("make", "venv")
    time.sleep(1.0)
    second = clone.start("make", "venv")
    said = [process.communicate(timeout=600)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    assert sum("installing requirements.txt" in text for text in said) == 1
    assert sum("waiting for it" in text for text in said) == 1
    assert_right(clone)


# Seconds into a build that takes about ten: in uv's first step, while torch is copied, and in the proof.
@pytest.mark.parametrize(
    "moment", ["venv: building", "installing requirements.txt", "torch-cpu.txt", "installing the project"]
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
    assert not list((tmp_path / "cache").glob("robotics-lab/*"))


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


def test_foreign_settings_do_not_reach_the_build(clone, tmp_path):
    """A constraint that contradicts the lock (as the NGC image has), a foreign target, ROS's PYTHONPATH."""
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("numpy==1.26.4\n")
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong numpy')\n")
    clone.ok(
        *("make", "venv"),
        PIP_CONSTRAINT=str(constraint),
        PIP_TARGET=str(tmp_path / "elsewhere"),
        UV_CONSTRAINT=str(constraint),
        PYTHONPATH=str(tmp_path),
    )
    assert "2." in clone.ok("docker/dev.sh", "python", "-c", "import numpy; print(numpy.__version__)").stdout
    assert not (tmp_path / "elsewhere").exists()
