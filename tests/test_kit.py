"""make kit: what another machine needs to install the lab without a network, and nothing that it could not trust."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Clone

from env.lock.resolve import PYTHONS

NO_NETWORK = ("unshare", "--map-root-user", "--net")


@pytest.fixture(scope="module")
def kit(lab, tmp_path_factory) -> Path:
    """A kit for this machine; its path has spaces and a comma."""
    folder = tmp_path_factory.mktemp("stick") / "a kit, for you"
    run = lab.ok("make", "kit", KIT=str(folder))
    assert re.search(
        rf"^ok +kit +{re.escape(str(folder))} · Python 3\.\d+, \w+ · torch: yes · ", run.stdout, re.MULTILINE
    )
    assert not list(lab.path.glob(".kit.*"))
    return folder


def without_network(clone: Clone, tmp_path: Path, *command: str, **settings: str):
    """Run a command where no address can be reached, with no cache of what was fetched before."""
    return clone.run(*NO_NETWORK, *command, XDG_CACHE_HOME=str(tmp_path / "cache"), **settings)


def test_kit_holds_a_wheel_for_every_pin_by_its_hash(kit):
    locked = "".join((ROOT / name).read_text() for name in ("requirements.txt", "env/torch-cpu-needs.txt"))
    locked += (ROOT / "env/uv.txt").read_text() + (ROOT / "env/torch-cpu.txt").read_text()
    wheels = list((kit / "wheels").iterdir())
    assert len(wheels) == len(re.findall(r"^[\w.-]+==", locked, re.MULTILINE))
    assert all(path.suffix == ".whl" for path in wheels)
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() in locked for path in wheels)
    listed = (kit / "SHA256SUMS").read_text().splitlines()
    assert [line[66:] for line in listed] == sorted(["kit.txt", *(f"wheels/{path.name}" for path in wheels)])


def test_lab_is_built_and_checked_without_any_network(clone, kit, tmp_path):
    routes = without_network(clone, tmp_path, "cat", "/proc/net/route").stdout.splitlines()
    assert len(routes) <= 1, "there is a route, and this proves nothing"
    run = without_network(clone, tmp_path, "make", "check-render", KIT=str(kit))
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line.split()[1] for line in run.stdout.splitlines()] == ["image", "venv", "gpu", "mujoco", "render"]


@pytest.fixture
def spoilt(kit, tmp_path) -> Path:
    """A copy of the kit, of links, for a test to spoil."""
    copy = tmp_path / "spoilt"
    shutil.copytree(kit, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
    return copy


def replace(file: Path, content: bytes) -> None:
    """Put a file in the place of a link."""
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize("package", ["mujoco-", "torch-"])
def test_flipped_byte_is_caught_by_name(clone, spoilt, tmp_path, package):
    (wheel,) = (spoilt / "wheels").glob(f"{package}*.whl")
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    replace(wheel, content)
    run = without_network(clone, tmp_path, "make", "venv", KIT=str(spoilt))
    assert run.returncode != 0
    assert (
        f"error: venv: {wheel} has another checksum than the kit says: it was changed, or copied badly\nfix: "
        in run.stderr
    )
    assert not clone.venv.exists() and clone.leftovers() == []


def test_missing_wheel_is_named(clone, spoilt, tmp_path):
    (wheel,) = (spoilt / "wheels").glob("numpy-*.whl")
    wheel.unlink()
    run = without_network(clone, tmp_path, "make", "venv", KIT=str(spoilt))
    assert run.returncode != 0
    assert f"error: venv: the kit is incomplete: {wheel} is missing\nfix: " in run.stderr
    assert not clone.venv.exists()


def test_wheel_that_both_lists_name_must_still_be_the_locked_one(clone, spoilt, tmp_path):
    """Whoever changes a wheel can change SHA256SUMS too; not the lock."""
    (wheel,) = (spoilt / "wheels").glob("tqdm-*.whl")
    old, new = wheel.read_bytes(), wheel.read_bytes() + b"\0"
    replace(wheel, new)
    sums = (spoilt / "SHA256SUMS").read_text().replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest())
    replace(spoilt / "SHA256SUMS", sums.encode())
    run = without_network(clone, tmp_path, "make", "venv", KIT=str(spoilt))
    assert run.returncode != 0
    assert "tqdm" in run.stderr and "error: venv: " in run.stderr
    assert not clone.venv.exists()


def test_wheel_that_no_list_names_is_not_trusted(clone, spoilt, tmp_path):
    """pip's runs as it is, to install uv: whoever changed it may have emptied SHA256SUMS."""
    (wheel,) = (spoilt / "wheels").glob("pip-*.whl")
    replace(wheel, wheel.read_bytes() + b"\0")
    replace(spoilt / "SHA256SUMS", b"")
    run = without_network(clone, tmp_path, "make", "venv", KIT=str(spoilt))
    assert f"error: venv: {spoilt}/SHA256SUMS does not list kit.txt: " in run.stderr, run.stderr
    about = hashlib.sha256((spoilt / "kit.txt").read_bytes()).hexdigest()
    replace(spoilt / "SHA256SUMS", f"{about}  kit.txt\n".encode())
    run = without_network(clone, tmp_path, "make", "venv", KIT=str(spoilt))
    assert re.search(r"error: venv: \S.*/SHA256SUMS does not list wheels/\S+\.whl: ", run.stderr), run.stderr


def test_kit_of_another_lock_is_refused(clone, kit, tmp_path):
    (clone.path / "requirements.txt").open("a").write("# a change\n")
    run = without_network(clone, tmp_path, "make", "venv", KIT=str(kit))
    assert "error: venv: the kit was made for another requirements.txt than this one\nfix: " in run.stderr


def test_kit_for_another_machine(lab, tmp_path):
    """aarch64 and another Python, whose base layer has torch: nothing of this machine is in it; it is refused here."""
    folder = tmp_path / "for a Spark"
    here = "{}.{}".format(*sys.version_info[:2])
    python = next(python for python in reversed(PYTHONS) if python != here)
    lab.ok("make", "kit", KIT=str(folder), PLATFORM="aarch64", PYTHON_VERSION=python, TORCH="0")
    names = [path.name for path in (folder / "wheels").iterdir()]
    assert [name for name in names if re.match(rf"mujoco-.*-cp{python.replace('.', '')}-.*_aarch64\.whl$", name)]
    assert not [name for name in names if "x86_64" in name or name.startswith("torch")]
    run = lab.run("make", "venv", KIT=str(folder), VENV=str(tmp_path / "venv"))
    assert f"error: venv: the kit is for python {python}, and this is {here}\nfix: " in run.stderr


def test_folder_that_is_no_kit_is_left_alone(lab, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    run = lab.run("make", "kit", KIT=str(tmp_path))
    assert f"error: {tmp_path} exists, and is not a kit\nfix: " in run.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    run = lab.run("make", "venv", KIT=str(tmp_path), VENV=str(tmp_path / "venv"))
    assert f"error: KIT={tmp_path} is not a kit: there is no {tmp_path}/kit.txt\nfix: " in run.stderr


def test_kit_that_is_not_there_is_named_where_nothing_is_built(lab):
    for command in (["make", "venv"], ["docker/dev.sh", "true"]):
        run = lab.run(*command, KIT="nowhere")
        assert f"error: KIT=nowhere is not a kit: there is no {lab.path}/nowhere/kit.txt\nfix: " in run.stderr


def test_files_of_the_users_in_a_kit_and_beside_it_stay(lab, tmp_path):
    kit = tmp_path / "robot"
    mine = [tmp_path / "robot.part/thesis.tex", kit / "NOTES.md"]
    old = [kit / name for name in ("kit.txt", "SHA256SUMS", "image.tar", "wheels/old.whl")]
    for path in [*mine, *old]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# A kit of the robotics lab\n")
    run = lab.ok("make", "kit", KIT=str(kit), TORCH="0")
    assert [path for path in mine if not path.exists()] == []
    assert f"kept {kit}: NOTES.md\n" in run.stdout
    assert sorted(path.name for path in kit.iterdir()) == ["NOTES.md", "SHA256SUMS", "kit.txt", "wheels"]
    assert not (kit / "wheels/old.whl").exists() and "numpy-" in (kit / "SHA256SUMS").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["robot", "robot.part"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"PLATFORM": "sparc"}, "error: PLATFORM=sparc is not one of x86_64, aarch64\nfix: "),
        ({"PYTHON_VERSION": "3.9"}, f"error: PYTHON_VERSION=3.9 is not one of {', '.join(PYTHONS)}\nfix: "),
        ({"TORCH": "no"}, "error: TORCH=no is not one of 0, 1\nfix: "),
        ({"IMAGE": "yes"}, "error: IMAGE=yes is not 0 or 1\nfix: IMAGE=1\n"),
        ({"IMAGE": "1"}, "error: IMAGE=1 needs a container engine, and this is ENGINE=local\nfix: "),
    ],
)
def test_wrong_setting_is_wrong_usage(lab, tmp_path, settings, message):
    run = lab.run("make", "kit", KIT=str(tmp_path / "kit"), **settings)
    assert message in run.stderr and "Error 2" in run.stderr
    assert not list(tmp_path.iterdir()) and not list(lab.path.glob(".kit.*"))
