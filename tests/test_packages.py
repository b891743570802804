"""The user's packages, which no lock names: said at once, named before they go, and installed again from a list."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from conftest import Clone, locked, site_packages


def make_wheel(folder: Path, name: str, version: str) -> None:
    """Make a wheel that holds one empty module."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {f"{name}_module.py": "", f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def make_project(folder: Path, name: str) -> Path:
    """Make a project of one module, in a repository of its own."""
    folder.mkdir()
    (folder / f"{name}.py").write_text("")
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n[tool.setuptools]\npy-modules = ["{name}"]\n'
    )
    git = ["git", "-C", folder, "-c", "user.name=lab", "-c", "user.email=lab@localhost"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=one"]):
        subprocess.run([*git, *command], check=True)
    return folder


def not_in_the_lock(clone: Clone) -> list[str]:
    """What make venv says there is beyond the lock."""
    said = re.search(r" · not in the lock: (.+)$", clone.ok("make", "venv").stdout, re.MULTILINE)
    return said[1].split(", ") if said else []


def test_packages_beyond_the_lock_are_named_and_come_back_from_a_list(lab, tmp_path):
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "tiny", "1.5")
    make_wheel(wheels, "tqdm", "99.0")
    edited = make_project(tmp_path / "mine", "edited_here").as_uri()
    repository = make_project(tmp_path / "theirs", "from_git").as_uri()
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels.as_uri(), "PIP_NO_BUILD_ISOLATION": "0"}
    pip = ["docker/dev.sh", "pip", "install", "--quiet"]
    installed = ["edited_here 1", "from_git 1", "tiny 1.5", "__editable__.edited_here-1.pth"]
    assert not_in_the_lock(lab) == []
    lab.ok(*pip, "tiny", "--editable", edited, f"from_git @ git+{repository}", **offline)
    assert not_in_the_lock(lab) == installed

    lab.ok(*pip, "tqdm==99.0", **offline)  # which the lock pins: the venv is damaged, and built again
    said = lab.ok("docker/dev.sh", "true").stderr
    commit = subprocess.check_output(["git", "-C", tmp_path / "theirs", "rev-parse", "HEAD"], text=True).strip()
    kept = [f"-e {edited}", f"from_git @ git+{repository}@{commit}", "tiny==1.5"]
    again = "docker/dev.sh pip install -r '.venv.lab/dropped.txt'"
    before_it_builds, _, _ = said.partition("venv: building")
    assert before_it_builds == (
        f"warning: venv: of yours, and not in the lock: {', '.join(kept)}; a new venv is without\n"
        f"fix: name them in requirements.in, then: make lock; or install them again: {again}\n"
        f"warning: venv: tqdm==99.0 of yours becomes the locked tqdm=={locked('tqdm')} again\n"
        "fix: make lock PACKAGE=tqdm==99.0\n"
    )
    lines = (lab.path / ".venv.lab/dropped.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == kept
    assert not_in_the_lock(lab) == [] and not (site_packages(lab) / "tiny_module.py").exists()

    lab.ok("bash", "-c", again, **offline)
    assert not_in_the_lock(lab) == installed
    lab.ok("docker/dev.sh", "pip", "uninstall", "--quiet", "--yes", "edited_here", "from_git", "tiny")
    assert "building" not in lab.ok("make", "venv").stderr
    (lab.path / ".venv.lab/dropped.txt").unlink()


def make_package(venv: Path, name: str) -> None:
    """Put tiny 1.5 or another package into a venv, by what tells that it is there."""
    (info := next(venv.glob("lib/python*/site-packages")) / f"{name}.dist-info").mkdir()
    (info / "METADATA").write_text("Name: {}\nVersion: {}\n".format(*name.split("-")))


@pytest.mark.slow
def test_another_engines_venv_is_without_and_the_list_has_what_goes(lab):
    """The host's venv makes way for that of an image, and a venv of a third was put aside."""
    parked = lab.path / ".venv.lab/parked"
    (parked / "lib/python3.12/site-packages").mkdir(parents=True)
    (parked / ".inventory").write_text("1 1.0 lib/python3.12/site-packages/tqdm-4.0.dist-info/METADATA\n")
    make_package(parked, "small-2")
    make_package(lab.venv, "tiny-1.5")
    said = lab.ok("docker/dev.sh", "true", LAB_IMAGE="sha256:another").stderr
    assert [name for name in ("tiny==1.5", "small==2") if f"not in the lock: {name};" not in said] == []
    assert "\nsmall==2\ntiny==1.5\n" in (lab.path / ".venv.lab/dropped.txt").read_text()
    assert not_in_the_lock(lab) == ["tiny 1.5"]  # the host's is back
    for path in (parked, next(site_packages(lab).glob("tiny-*"))):
        shutil.rmtree(path)
    (lab.path / ".venv.lab/dropped.txt").unlink()


def test_clean_names_the_packages_beyond_the_lock_and_keeps_the_list(clone):
    """In what is left of a venv, whose inventory names one of its two packages."""
    (clone.venv / "lib/python3.12/site-packages").mkdir(parents=True)
    make_package(clone.venv, "tiny-1.5")
    make_package(clone.venv, "tqdm-4.0")
    inventory = "1 1.0 lib/python3.12/site-packages/tqdm-4.0.dist-info/METADATA\n"
    (clone.venv / ".inventory").write_text(inventory)
    (clone.venv / "pyvenv.cfg").write_text("prompt = robotics-lab\n")
    said = clone.ok("make", "clean").stdout
    assert said == "kept .venv.lab: dropped.txt lock\nremoved .venv\n"
    assert "\ntiny==1.5\n" in (clone.path / ".venv.lab/dropped.txt").read_text()
    assert clone.ok("make", "clean").stdout == "kept .venv.lab: dropped.txt lock\n"


def test_file_that_every_python_runs_is_named(lab):
    folder = site_packages(lab)
    mine = [folder / name for name in ("mine.pth", "sitecustomize.py", "usercustomize/__init__.py")]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    named = not_in_the_lock(lab)
    for path in mine:
        path.unlink()
    mine[-1].parent.rmdir()
    assert named == ["mine.pth", "sitecustomize.py", "usercustomize"]
