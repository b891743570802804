"""check_mujoco sees physics that is missing, broken or other than what was locked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Clone, in_namespace
from verdicts import LAB, assert_one_clear_error, each_injected, evidence, injects, remedy

from checks import fetch, mujoco_physics
from checks import mujoco_golden as golden
from checks import mujoco_scripted as scripted

CHECK = (".venv/bin/python", "-m", "checks.check_mujoco")
MODELS = "assets/fetch"


def packages(clone: Clone) -> Path:
    return next(clone.venv.glob("lib/*/site-packages"))


def test_mujoco_evidence(lab):
    lab.ok(*LAB, "checks", "mujoco")
    record = evidence(lab, "mujoco")
    assert record["verdict"] == "ok"
    assert len(record["evidence"]["golden"]) == len(record["evidence"]["steps"]) == len(fetch.ENV_IDS)
    assert record["evidence"]["same_seed_difference"] == 0.0
    assert len(record["evidence"]["steps_to_goal"]) == mujoco_physics.GOALS


# the golden record


def test_golden_record_is_of_the_locked_mujoco():
    locked = re.search(r"^mujoco==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[1]
    recorded = golden.load()
    assert recorded["mujoco"] == locked
    assert {task: len(rows) for task, rows in recorded["tasks"].items()} == {t: n + 1 for t, n in golden.STEPS.items()}
    assert {scripted.task_of(env_id) for env_id in fetch.ENV_IDS} == set(golden.STEPS)
    assert all(
        len(golden.rows_of(recorded, env_id)) == len(recorded["tasks"][scripted.task_of(env_id)])
        for env_id in fetch.ENV_IDS
    )
    assert recorded["constants"].keys() == recorded["rewards"].keys() == set(fetch.ENV_IDS)


@pytest.mark.parametrize("task", golden.STEPS)
def test_no_recorded_state_is_so_near_success_that_rounding_decides(task):
    recorded = golden.load()
    distances = -np.array(recorded["rewards"][f"Fetch{task}Dense-v4"][1:])
    threshold = recorded["constants"][f"Fetch{task}-v4"]["distance_threshold"]
    tolerance = golden.tolerances(task)[1:, golden.QUANTITIES.index("reward")]
    assert (np.abs(distances - threshold) > tolerance).all()
    success = [row[-1] for row in recorded["tasks"][task][1:]]
    assert success == (distances < threshold).tolist()


@pytest.mark.parametrize("task", golden.STEPS)
def test_tolerance_leaves_room_for_rounding(task):
    """1e-9 m off at the start, which is more than two machines were seen to differ by, is the same physics."""
    with fetch.made(f"Fetch{task}-v4") as env:
        states = scripted.rollout(env, golden.SEED, golden.STEPS[task])
        rows = [golden.row(next(states))]
        positions = env.unwrapped.data.qpos
        positions += 1e-9 * np.random.default_rng(0).standard_normal(positions.shape)
        rows += [golden.row(state) for state in states]
    found = golden.difference(f"Fetch{task}-v4", rows, golden.rows_of(golden.load(), f"Fetch{task}-v4"))
    assert found.first_over is None, found
    assert found.metres > 0


def test_make_golden_is_idempotent_and_shows_a_difference(clone, lab):
    make_golden = (str(lab.venv / "bin/python"), "-m", "checks.mujoco_golden")
    file = clone.path / "checks/mujoco_golden.json"
    before = file.read_bytes()
    assert clone.ok(*make_golden).stdout.count("same") == len(fetch.ENV_IDS)
    assert file.read_bytes() == before
    record = json.loads(before)
    record["tasks"]["Push"][12][4] += 0.01
    del record["tasks"]["Reach"]
    record["rewards"]["FetchSlide-v4"][3] = 0
    record["constants"]["FetchSlide-v4"]["distance_threshold"] = 0.15
    file.write_text(json.dumps(record))
    said = clone.ok(*make_golden).stdout
    assert "differs  1.0e-02 m in achieved_goal at FetchPush-v4 step 12" in said
    assert "differs  1.0e+00 in reward at FetchSlide-v4 step 3\n" in said
    assert "FetchSlide-v4: distance_threshold of environment is 0.05, not 0.15" in said
    assert "new      FetchReach-v4, 50 steps" in said
    assert file.read_bytes() == before


# other versions, from the package index


def installed(folder: Path, lab: Clone, *requirements: str) -> dict[str, str]:
    """Packages in a folder of their own, in front of the venv's."""
    pip = [".venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    lab.ok(*pip, *requirements)
    return {"PYTHONPATH": str(folder)}


@injects("mujoco.physics", "mujoco 3.5.0")
def test_older_mujoco_fails_on_physics_and_nothing_else(lab, tmp_path):
    run = lab.run(*CHECK, **installed(tmp_path, lab, "mujoco==3.5.0"))
    assert_one_clear_error(run, "mujoco", "mujoco.physics")
    assert re.search(r"differs from the locked physics by [23]\.\de-02 m in \w+ at Fetch\w+-v4 step \d+", run.stderr)
    assert f"that of mujoco {golden.load()['mujoco']}" in run.stderr and "mujoco 3.5.0" in run.stderr
    goals = evidence(lab, "mujoco")["evidence"]["steps_to_goal"]
    assert len(goals) == mujoco_physics.GOALS  # all other questions were answered


@injects("mujoco.version-mismatch", "mujoco 3.12.0 and 4.0.0, as an unbounded resolve takes")
@pytest.mark.parametrize("requirements", [["mujoco==3.12.0"], ["mujoco==4.0.0", "mujoco-core==4.0.0"]], ids=str)
def test_newer_mujoco_fails_at_construction_and_names_the_bound(lab, tmp_path, requirements):
    run = lab.run(*CHECK, **installed(tmp_path, lab, *requirements))
    assert_one_clear_error(run, "mujoco", "mujoco.version-mismatch")
    assert requirements[0].replace("==", " ") in run.stderr
    bound = re.search(r"^mujoco[<>=]\S+", (ROOT / "requirements.in").read_text(), re.MULTILINE)[0]
    assert f"requirements.in bounds {bound}" in run.stderr


@each_injected
@injects(
    "mujoco.not-registered",
    "gymnasium-robotics 1.3.1, whose Fetch environments are v3",
    version="1.3.1",
    found="FetchReach-v4",
)
@injects(
    "mujoco.version-mismatch",
    "gymnasium-robotics 1.2.4, which wants a gymnasium of its time",
    version="1.2.4",
    found="No module named 'gymnasium.wrappers.time_limit'",
)
def test_older_gymnasium_robotics(lab, tmp_path, cause, version, found):
    run = lab.run(*CHECK, **installed(tmp_path, lab, f"gymnasium-robotics=={version}"))
    assert_one_clear_error(run, "mujoco", cause)
    assert found in run.stderr


# a damaged venv, and `make venv`, the remedy


@pytest.fixture
def victim(lab):
    """The lab, whose venv a test damages, and mends by the printed remedy; mended in any case."""
    yield lab
    lab.ok("make", "venv")


def pip(victim: Clone, *arguments: str) -> None:
    victim.ok(".venv/bin/python", "-m", "pip", *arguments)


def uninstall(victim: Clone) -> None:
    pip(victim, "uninstall", "--quiet", "--yes", "gymnasium-robotics")


def upgrade(victim: Clone) -> None:
    pip(victim, "install", "--quiet", "--no-deps", "mujoco==3.12.0")


def downgrade(victim: Clone) -> None:
    pip(victim, "install", "--quiet", "--no-deps", "gymnasium-robotics==1.3.1")


def older(victim: Clone) -> None:
    pip(victim, "install", "--quiet", "--no-deps", "mujoco==3.5.0")


def lighten_table(victim: Clone) -> None:
    for name in ("push", "slide", "pick_and_place", "reach"):
        edit(packages(victim) / f"gymnasium_robotics/envs/{MODELS}/{name}.xml", 'mass="2000"', 'mass="1000"')
    victim.ok("make", "venv")  # sees nothing


def cut_library(victim: Clone) -> None:
    next(packages(victim).glob("mujoco/libmujoco.so*")).write_bytes(b"")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    times = file.stat()
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@each_injected
@injects("mujoco.package-missing", "gymnasium-robotics uninstalled", "make venv", damage=uninstall)
@injects("mujoco.version-mismatch", "mujoco 3.12.0 installed", "make venv", damage=upgrade)
@injects("mujoco.not-registered", "gymnasium-robotics 1.3.1 installed", "make venv", damage=downgrade)
@injects("mujoco.import", "libmujoco.so cut off", "make venv", damage=cut_library)
def test_damaged_venv_is_seen_and_mended_by_the_printed_remedy(victim, cause, damage):
    damage(victim)
    run = victim.run(*CHECK)
    assert_one_clear_error(run, "mujoco", cause)
    assert remedy(run) == "make venv"
    if damage in (uninstall, cut_library):
        assert_one_clear_error(victim.run(".venv/bin/python", "-m", "checks", "list-envs"), "list-envs", cause)
    assert "damaged: " in victim.ok("bash", "-c", remedy(run)).stderr
    assert victim.ok(*CHECK).stdout.startswith("ok        mujoco ")


@pytest.mark.slow
@each_injected
@injects("mujoco.physics", "mujoco 3.5.0 installed", "make venv", damage=older)
@injects(
    "mujoco.model",
    "a table of half the mass, in files of the size and time they had",
    "rm -rf .venv && make venv",
    damage=lighten_table,
)
def test_other_physics_is_seen_and_mended_by_the_printed_remedy(victim, cause, damage):
    damage(victim)
    run = victim.run(*CHECK)
    assert_one_clear_error(run, "mujoco", cause)
    victim.ok("bash", "-c", remedy(run))
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
def on_edited_robotics(lab, tmp_path):
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
NOT_SEEN_IN_TRAJECTORIES = {
    "mass of body table0 is 1000.0, not 2000.0": (f"{MODELS}/push.xml", 'mass="2000"', 'mass="1000"'),
    "distance_threshold of environment is 0.15, not 0.05": ("fetch/slide.py", "threshold=0.05", "threshold=0.15"),
    "damping of dof 0 of robot0:head_tilt_joint is 2000.0, not 1000.0": (
        f"{MODELS}/robot.xml",
        'damping="1000" name="robot0:head_tilt_joint"',
        'damping="2000" name="robot0:head_tilt_joint"',
    ),
}


@injects("mujoco.model", "a table of half the mass; another criterion of success; a head's joint of twice the damping")
@pytest.mark.parametrize(("found", "fault"), NOT_SEEN_IN_TRAJECTORIES.items(), ids=["mass", "threshold", "damping"])
def test_numbers_that_no_trajectory_shows_are_named(on_edited_robotics, found, fault):
    run = on_edited_robotics(*fault)
    assert_one_clear_error(run, "mujoco", "mujoco.model")
    assert found in run.stderr


# what an environment does beside what it is made of


@each_injected
@injects(
    "mujoco.bad-observation",
    "an environment whose observations hold a NaN",
    file=FETCH,
    old='"observation": obs.copy()',
    new='"observation": obs * np.nan',
)
@injects(
    "mujoco.goal-missed",
    "an environment that obeys in the opposite direction",
    file=FETCH,
    old="pos_ctrl *= 0.05",
    new="pos_ctrl *= -0.05",
)
@injects(
    "mujoco.disobeys",
    "an environment that moves along y, too, when told to move along x",
    file=FETCH,
    old="pos_ctrl *= 0.05",
    new="pos_ctrl *= 0.05; pos_ctrl[1] += 0.3 * pos_ctrl[0]",
)
@injects(
    "mujoco.dropped",
    "fingers that close half-way",
    file="assets/fetch/pick_and_place.xml",
    old='ctrlrange="0 0.2"',
    new='ctrlrange="0.03 0.2"',
)
@injects(
    "mujoco.warnings",
    "a simulation with 32 KB for its contacts",
    file="assets/fetch/push.xml",
    old="</option>",
    new='</option><size memory="32K"/>',
)
@injects(
    "mujoco.simulator-error",
    "a simulation with 24 KB for its contacts",
    file="assets/fetch/push.xml",
    old="</option>",
    new='</option><size memory="24K"/>',
)
@injects(
    "mujoco.seed-ignored",
    "an environment that always resets with seed 0",
    file="robot_env.py",
    old="super().reset(seed=seed)",
    new="super().reset(seed=0)",
)
@injects(
    "mujoco.physics",
    "a reward of half the distance, which moves nothing",
    file=FETCH,
    old="return -d\n",
    new="return -d / 2\n",
)
@injects(
    "mujoco.reset",
    "gymnasium-robotics' mend 208 undone: what remains of the simulation before is not reset",
    file=FETCH,
    old="self._mujoco.mj_resetData(self.model, self.data)",
    new="",
)
@injects(
    "mujoco.not-deterministic",
    "an environment whose observations carry noise that no seed governs",
    file=FETCH,
    old='"observation": obs.copy()',
    new='"observation": obs + 1e-12 * np.random.random()',
)
def test_environment_that_does_not_do_what_it_should(on_edited_robotics, cause, file, old, new):
    run = on_edited_robotics(file, old, new)
    assert_one_clear_error(run, "mujoco", cause)
    assert (cause == "mujoco.warnings") == ("mjWARN_" in run.stderr), "which warning"
