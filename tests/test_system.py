"""env/system/install.sh: system libraries that are missing are installed where that is allowed, else named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, in_namespace

# What ldconfig -p lists: nothing.
NO_LIBRARIES = "mkdir -p proof; : >proof/empty; mount --bind proof/empty /etc/ld.so.cache"
NOT_ROOT = ("unshare", "--map-user=1000")
MISSING = " ".join(re.findall(r"^(\S+) +lib", (ROOT / "env/system/packages.txt").read_text(), re.MULTILINE))
INSTALL = "env/system/install.sh"


def test_complete_machine_is_left_alone(lab):
    assert lab.ok(INSTALL).stderr == ""


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="what apt does can be tested only where apt is")
def test_ordinary_user_is_given_the_one_command(lab):
    said = (
        f"warning: system: not installed: {MISSING}; only root can install them\n"
        f"fix: sudo apt-get install -y {MISSING}\n"
    )
    assert lab.ok(*in_namespace(NO_LIBRARIES, *NOT_ROOT, INSTALL)).stderr == said


def test_other_distribution_is_told_the_names_of_the_libraries(lab, tmp_path):
    for folder in map(Path, ("/usr/sbin", "/usr/bin")):
        for program in folder.iterdir():
            if program.name != "apt-get":
                (tmp_path / program.name).unlink(missing_ok=True)
                (tmp_path / program.name).symlink_to(program)
    run = lab.ok(*in_namespace(NO_LIBRARIES, "env/system/install.sh"), PATH=str(tmp_path))
    assert "not installed: libEGL.so.1 libGL.so.1 libOSMesa.so.8 libglfw.so.3" in run.stderr
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


def test_apt_is_for_building_only(lab, tmp_path):
    """A stand-in for an apt without a network, which is slow to give up; the build ends at a KIT that is no kit."""
    (tmp_path / "apt-get").write_text('#!/bin/sh\necho "E: Unable to locate package"; exit 100\n')
    (tmp_path / "apt-get").chmod(0o755)
    (tmp_path / "kit.txt").touch()
    path = f"{tmp_path}:{lab.environment['PATH']}"
    building = {"VENV": str(tmp_path / "venv"), "KIT": str(tmp_path), "PATH": path}
    run = lab.run(*in_namespace(NO_LIBRARIES, "docker/dev.sh", "true"), **building)
    assert f"\nfix: apt-get update && apt-get install -y {MISSING}\n" in run.stderr
    assert lab.ok(*in_namespace(NO_LIBRARIES, "docker/dev.sh", "true"), PATH=path).stderr == ""
