"""check_mujoco sees physics that is missing, broken or other than what was locked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Clone, in_namespace
from verdicts import LAB, assert_one_clear_error, evidence, injects, remedy

from checks import fetch
from checks import mujoco_golden as golden
from checks import mujoco_scripted as scripted

CHECK = (".venv/bin/python", "-m", "checks.check_mujoco")


def packages(clone: Clone) -> Path:
    return next(clone.venv.glob("lib/*/site-packages"))


def test_mujoco_evidence(lab):
    lab.ok(*LAB, "checks", "mujoco")
    record = evidence(lab, "mujoco")
    assert record["verdict"] == "ok"
    assert len(record["evidence"]["golden"]) == len(record["evidence"]["steps"]) == 8
    assert record["evidence"]["same_seed_difference"] == 0.0
    assert len(record["evidence"]["steps_to_goal"]) == 20


# the golden record


def test_golden_record_is_of_the_locked_mujoco():
    locked = re.search(r"^mujoco==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    recorded = golden.load()
    assert recorded["mujoco"] == locked
    assert {task: len(rows) for task, rows in recorded["tasks"].items()} == {t: n + 1 for t, n in golden.STEPS.items()}
    assert {scripted.task_of(env_id) for env_id in fetch.ENV_IDS} == set(golden.STEPS)


@pytest.mark.parametrize("task", golden.STEPS)
def test_tolerance_leaves_room_for_rounding(task):
    """1e-9 m off at the start, which is more than two machines were seen to differ by, is the same physics."""
    with fetch.made(f"Fetch{task}-v4") as env:
        states = scripted.rollout(env, golden.SEED, golden.STEPS[task])
        rows = [golden.row(next(states).observation)]
        positions = env.unwrapped.data.qpos
        positions += 1e-9 * np.random.default_rng(0).standard_normal(positions.shape)
        rows += [golden.row(state.observation) for state in states]
    found = golden.difference(f"Fetch{task}-v4", rows, golden.load()["tasks"][task])
    assert found.first_over is None, found
    assert found.metres > 0


def test_make_golden_is_idempotent_and_shows_a_difference(clone, lab):
    for name in ("mujoco_golden.json", "mujoco_golden.py"):
        assert (clone.path / "checks" / name).exists()
    python = str(lab.venv / "bin/python")
    before = (clone.path / "checks/mujoco_golden.json").read_bytes()
    assert clone.ok(python, "-m", "checks.mujoco_golden").stdout.count("same") == 4
    assert (clone.path / "checks/mujoco_golden.json").read_bytes() == before
    record = json.loads(before)
    record["tasks"]["Push"][12][4] += 0.01
    (clone.path / "checks/mujoco_golden.json").write_text(json.dumps(record))
    shown = clone.ok(python, "-m", "checks.mujoco_golden").stdout
    assert "differs  1.0e-02 m in achieved_goal at FetchPush-v4 step 12" in shown
    assert (clone.path / "checks/mujoco_golden.json").read_bytes() == before


# other versions, from the package index


def installed(folder: Path, lab: Clone, *requirements: str) -> dict[str, str]:
    """Packages in a folder of their own, in front of the venv's."""
    pip = [".venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    lab.ok(*pip, *requirements)
    return {"PYTHONPATH": str(folder)}


@injects("mujoco.physics", "mujoco 3.5.0; and a table with less friction", "make venv")
def test_older_mujoco_fails_on_physics_and_nothing_else(lab, tmp_path):
    run = lab.run(*CHECK, **installed(tmp_path, lab, "mujoco==3.5.0"))
    assert_one_clear_error(run, "mujoco", "mujoco.physics")
    assert re.search(r"differs from the locked physics by [23]\.\de-02 m in \w+ at Fetch\w+-v4 step \d+", run.stderr)
    assert "that of mujoco 3.11.0" in run.stderr and "mujoco 3.5.0" in run.stderr
    assert len(evidence(lab, "mujoco")["evidence"]["steps_to_goal"]) == 20  # all other questions were answered


@injects("mujoco.version-mismatch", "mujoco 3.12.0 and 4.0.0, as an unbounded resolve takes", "make venv")
@pytest.mark.parametrize("requirements", [["mujoco==3.12.0"], ["mujoco==4.0.0", "mujoco-core==4.0.0"]], ids=str)
def test_newer_mujoco_fails_at_construction_and_names_the_bound(lab, tmp_path, requirements):
    run = lab.run(*CHECK, **installed(tmp_path, lab, *requirements))
    assert_one_clear_error(run, "mujoco", "mujoco.version-mismatch")
    assert requirements[0].replace("==", " ") in run.stderr
    assert "requirements.in bounds mujoco>=3.8.1,<3.12" in run.stderr


@injects("mujoco.not-registered", "gymnasium-robotics 1.3.1, whose Fetch environments are v3", "make venv")
@pytest.mark.parametrize(
    ("version", "cause", "found"),
    [
        ("1.3.1", "mujoco.not-registered", "FetchReach-v4"),
        ("1.2.4", "mujoco.version-mismatch", "No module named 'gymnasium.wrappers.time_limit'"),
    ],
)
def test_older_gymnasium_robotics(lab, tmp_path, version, cause, found):
    run = lab.run(*CHECK, **installed(tmp_path, lab, f"gymnasium-robotics=={version}"))
    assert_one_clear_error(run, "mujoco", cause)
    assert found in run.stderr


# a damaged venv, and `make venv`, the remedy


@pytest.fixture(scope="module")
def victim(tmp_path_factory) -> Clone:
    """A clone whose venv is damaged, and mended by the printed remedy, again and again."""
    clone = Clone(tmp_path_factory.mktemp("victim") / "a clone")
    clone.ok("make", "venv")
    return clone


def uninstall(victim: Clone) -> None:
    victim.ok(".venv/bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", "gymnasium-robotics")


def downgrade(victim: Clone) -> None:
    victim.ok(".venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "mujoco==3.5.0")


def cut_library(victim: Clone) -> None:
    next(packages(victim).glob("mujoco/libmujoco.so*")).write_bytes(b"")


def edit_model(victim: Clone) -> None:
    edit(packages(victim) / "gymnasium_robotics/envs/assets/fetch/slide.xml", 'friction="0.1 ', 'friction="0.05 ')


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@injects("mujoco.package-missing", "gymnasium-robotics uninstalled", "make venv")
@injects("mujoco.import", "libmujoco.so cut off", "make venv")
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (uninstall, "mujoco.package-missing"),
        (downgrade, "mujoco.physics"),
        (cut_library, "mujoco.import"),
        (edit_model, "mujoco.physics"),
    ],
)
def test_damaged_venv_is_seen_and_mended_by_the_printed_remedy(victim, damage, cause):
    damage(victim)
    run = victim.run(*CHECK)
    assert_one_clear_error(run, "mujoco", cause)
    assert remedy(run) == "make venv"
    if cause in ("mujoco.package-missing", "mujoco.import"):
        assert_one_clear_error(victim.run(".venv/bin/python", "-m", "checks", "list-envs"), "list-envs", cause)
    assert "damaged: " in victim.ok("bash", "-c", remedy(run)).stderr
    assert victim.ok(*CHECK).stdout.startswith("ok        mujoco ")


@injects("mujoco.library-missing", "libgcc_s and libstdc++ hidden; the remedy is apt's, which needs both itself")
@pytest.mark.parametrize("library", ["libgcc_s.so.1", "libstdc++.so.6"])
def test_missing_system_library_is_named(lab, library):
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    paths = [line.split()[-1] for line in listed.splitlines() if line.split()[0] == library]
    hidden = "\n".join(f"mount --bind /dev/null {Path(path).resolve()}" for path in paths)
    run = lab.run(*in_namespace(hidden, *CHECK))
    assert_one_clear_error(run, "mujoco", "mujoco.library-missing")
    assert f"{library}: file too short" in run.stderr
    assert re.search(r"fix: env/system/install.sh --reinstall lib(gcc-s1|stdc\+\+6)$", run.stderr, re.MULTILINE)


# environments that do not do what they should, by an edit of gymnasium-robotics


@pytest.fixture
def edited(lab, tmp_path):
    """A function that edits a copy of gymnasium-robotics in front of the venv's, and runs the check on it."""

    def run(file: str, old: str, new: str) -> subprocess.CompletedProcess:
        source, copy = packages(lab) / "gymnasium_robotics", tmp_path / "gymnasium_robotics"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("stls", "textures", "__pycache__"))
        for heavy in ("stls", "textures"):
            (copy / "envs/assets" / heavy).symlink_to(source / "envs/assets" / heavy)
        edit(copy / "envs" / file, old, new)
        return lab.run(*CHECK, PYTHONPATH=str(tmp_path))

    return run


FETCH = "fetch/fetch_env.py"


@injects("mujoco.bad-observation", "an environment whose observations hold a NaN")
@injects("mujoco.goal-missed", "an environment that obeys in the opposite direction")
@injects("mujoco.disobeys", "an environment that moves along y, too, when told to move along x")
@injects("mujoco.dropped", "fingers that close half-way")
@injects("mujoco.warnings", "a simulation with 32 KB for its contacts")
@injects("mujoco.simulator-error", "a simulation with 24 KB for its contacts")
@injects("mujoco.seed-ignored", "an environment that always resets with seed 0")
@injects("mujoco.not-deterministic", "an environment whose observations carry noise that no seed governs")
@pytest.mark.parametrize(
    ("cause", "file", "old", "new"),
    [
        ("mujoco.bad-observation", FETCH, '"observation": obs.copy()', '"observation": obs * np.nan'),
        ("mujoco.goal-missed", FETCH, "pos_ctrl *= 0.05", "pos_ctrl *= -0.05"),
        ("mujoco.disobeys", FETCH, "pos_ctrl *= 0.05", "pos_ctrl *= 0.05; pos_ctrl[1] += 0.3 * pos_ctrl[0]"),
        ("mujoco.dropped", "assets/fetch/pick_and_place.xml", 'ctrlrange="0 0.2"', 'ctrlrange="0.03 0.2"'),
        ("mujoco.warnings", "assets/fetch/push.xml", "</option>", '</option><size memory="32K"/>'),
        ("mujoco.simulator-error", "assets/fetch/push.xml", "</option>", '</option><size memory="24K"/>'),
        ("mujoco.seed-ignored", "robot_env.py", "super().reset(seed=seed)", "super().reset(seed=0)"),
        (
            "mujoco.not-deterministic",
            FETCH,
            '"observation": obs.copy()',
            '"observation": obs + 1e-12 * np.random.random()',
        ),
    ],
)
def test_environment_that_does_not_do_what_it_should(edited, cause, file, old, new):
    assert_one_clear_error(edited(file, old, new), "mujoco", cause)
