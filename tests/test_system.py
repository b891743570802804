"""env/system/install.sh: system libraries that are missing are installed where that is allowed, else named."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from conftest import in_namespace

# What ldconfig -p lists: nothing.
NO_LIBRARIES = "mkdir -p proof; : >proof/empty; mount --bind proof/empty /etc/ld.so.cache"
NOT_ROOT = ("unshare", "--map-user=1000")
MISSING = "libegl1 libgl1 libosmesa6 libglfw3"


@pytest.fixture(autouse=True)
def said_nothing_yet(lab):
    (lab.venv / ".system_missing").unlink(missing_ok=True)


def test_complete_machine_is_left_alone(lab):
    run = lab.ok("env/system/install.sh")
    assert run.stderr == ""
    assert not (lab.venv / ".system_missing").exists()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="what apt does can be tested only where apt is")
def test_ordinary_user_is_given_the_one_command(lab):
    once = in_namespace(NO_LIBRARIES, *NOT_ROOT, "env/system/install.sh", "--once")
    said = (
        f"warning: system: not installed here: {MISSING}; only root may install them\n"
        f"fix: sudo apt-get install -y {MISSING}\n"
    )
    assert lab.ok(*once, VIRTUAL_ENV=str(lab.venv)).stderr == said
    assert lab.ok(*once, VIRTUAL_ENV=str(lab.venv)).stderr == "", "said twice"
    assert lab.ok(*in_namespace(NO_LIBRARIES, *NOT_ROOT, "env/system/install.sh")).stderr == said, (
        "asked for, and silent"
    )


def test_other_distribution_is_told_the_names_of_the_libraries(lab, tmp_path):
    for folder in map(Path, ("/usr/sbin", "/usr/bin")):
        for program in folder.iterdir():
            if program.name != "apt-get":
                (tmp_path / program.name).unlink(missing_ok=True)
                (tmp_path / program.name).symlink_to(program)
    run = lab.ok(*in_namespace(NO_LIBRARIES, "env/system/install.sh"), PATH=str(tmp_path))
    assert "not installed here: libEGL.so.1 libGL.so.1 libOSMesa.so.8 libglfw.so.3" in run.stderr
    assert "\nfix: install the packages that bring them (on Debian: libegl1 " in run.stderr


def test_rendering_is_never_quietly_disabled(lab):
    """The venv is there, the libraries are not: the check says so, whatever was said before."""
    lab.ok(*in_namespace(NO_LIBRARIES, *NOT_ROOT, "env/system/install.sh"))
    hidden = "\n".join(
        f'for library in $(/sbin/ldconfig -p | sed -n "s/.*{name}.* => //p"); do mount --bind /dev/null $library; done'
        for name in ("libEGL.so.1", "libOSMesa.so.8")
    )
    run = lab.run(*in_namespace(hidden, "docker/dev.sh", "python", "-m", "checks.check_render"))
    assert run.returncode == 1
    assert "error: render: expected a GL backend that draws without a display" in run.stderr
    assert "[render.egl.library-missing]" in run.stderr
    assert "fix: env/system/install.sh libegl1" in run.stderr
    assert "Traceback" not in run.stderr


def test_apt_that_fails_is_not_tried_again_within_an_hour(lab, tmp_path):
    """A stand-in for apt without a network, whose real retries take many seconds each time."""
    (tmp_path / "apt-get").write_text('#!/bin/sh\necho "E: Unable to locate package"; exit 100\n')
    (tmp_path / "apt-get").chmod(0o755)
    setting = {"VIRTUAL_ENV": str(lab.venv), "PATH": f"{tmp_path}:{lab.environment['PATH']}"}
    once = in_namespace(NO_LIBRARIES, "env/system/install.sh", "--once")
    assert "\nfix: apt-get update && apt-get install -y libegl1 " in lab.ok(*once, **setting).stderr
    assert lab.ok(*once, **setting).stderr == ""
    two_hours_ago = time.time() - 7200
    os.utime(lab.venv / ".system_missing", (two_hours_ago, two_hours_ago))
    assert "could not install" in lab.ok(*once, **setting).stderr
