"""The gate (env/venv.sh): the venv is what the lock and the base layer say, and is rebuilt when it must be."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import assert_right, base_torch, identity, make_base_layer, site_packages, stamp


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
    torch, folder = base_torch(lab)
    said = lab.ok("make", "venv").stdout
    assert (
        f"torch {torch} (the CPU wheel of env/torch-cpu.txt)" in said
        or f"torch {torch} (the base layer's, {folder})" in said
    )


def test_stamp_is_inside_and_names_what_it_vouches_for(lab):
    lines = dict(line.split(" ", 1) for line in stamp(lab).splitlines())
    assert re.fullmatch("[0-9a-f]{64}", lines["sha256"])
    assert {"requirements.txt", "python", "version", "machine", "torch", "image"} <= set(lines)


def test_project_is_installed_editable(lab):
    found = lab.ok(".venv/bin/python", "-c", "import checks; print(checks.__file__)").stdout.strip()
    assert Path(found).parent.parent == lab.path
    assert "FetchReach-v4" in lab.ok(".venv/bin/proof-of-life", "list-envs").stdout


@pytest.mark.parametrize(
    "fault",
    [
        *("all gone", "file cut short", "interpreter gone"),
        *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("stamp gone", "stamp wrong", "file gone")),
    ],
)
def test_corrupted_venv_is_rebuilt(lab, fault):
    if fault == "all gone":
        shutil.rmtree(lab.venv)
    elif fault == "stamp gone":
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


def test_file_that_may_not_be_read_any_more_is_damage(lab):
    file = site_packages(lab) / "mujoco/__init__.py"
    mode = file.stat().st_mode
    damage = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "bash", "-c"]  # root reads all
    damage += [". env/inventory.sh; damage .venv"]
    file.chmod(0)
    said = lab.ok(*damage).stdout
    file.chmod(mode)
    assert re.fullmatch(r"damaged: lib/\S+/mujoco/__init__.py is not as installed\n", said), said
    assert lab.ok(*damage).stdout == ""


def test_python_that_does_not_answer_is_an_error(clone, tmp_path):
    """As a pyenv shim on a file server that is gone."""
    gate, python = clone.path / "env/venv.sh", tmp_path / "python3"
    gate.write_text(gate.read_text().replace("all_within 60 ", "all_within 1 "))
    python.write_text("#!/bin/bash\ntrap '' TERM\nfor _ in {1..30}; do sleep 1; done\n")
    python.chmod(0o755)
    run = clone.run("timeout", "10", "docker/dev.sh", "true", PYTHON=str(python))
    assert run.returncode == 2, run.returncode
    assert run.stderr.startswith(f"error: PYTHON={python} has not answered in 60 s\nfix: make verify PYTHON=")


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


def test_another_interpreter_makes_another_venv(lab, tmp_path):
    """A second interpreter of a supported version: one in a virtual environment of its own, with packages."""
    base = make_base_layer(tmp_path / "base")
    (only_here,) = (tmp_path / "base").glob("lib/python*/site-packages")
    (only_here / "of_the_base_layer.py").write_text("x = 1\n")
    run = lab.ok("make", "venv", PYTHON=base)
    assert re.search(r"changed: .*prefix", run.stderr)
    # What the base layer has, the lab sees, although --system-site-packages means those under `base`.
    lab.ok(".venv/bin/python", "-c", "import of_the_base_layer")
    assert "building" not in lab.ok("make", "venv", PYTHON=base).stderr
    assert "building" in lab.ok("make", "venv").stderr
    assert_right(lab)


def test_base_layers_torch_is_taken_and_no_other_installed(lab, tmp_path):
    """Its version is the base's, not the lock's: a pre-release with a local version, as in NVIDIA's image."""
    version = "2.13.0a0+base.nv25.12"
    base = make_base_layer(tmp_path / "base", version)
    (packages,) = (tmp_path / "base").glob("lib/python*/site-packages")
    run = lab.ok("make", "venv", PYTHON=base, VENV=str(tmp_path / "on base"))
    assert f"torch {version} (the base layer's, {packages})" in run.stdout
    (installed,) = (tmp_path / "on base").glob("lib/python*/site-packages")
    assert not list(installed.glob("torch*"))
    assert not (installed / "sympy").exists()


def test_active_venv_is_not_its_own_base(lab):
    before = identity(lab)
    path = f"{lab.venv}/bin:{lab.environment['PATH']}"
    run = lab.ok("make", "venv", PYTHON="python3", PATH=path, VIRTUAL_ENV=str(lab.venv))
    assert "building" not in run.stderr
    assert identity(lab) == before


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
