"""What all checks share: the command line, the evidence, the table at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import in_namespace
from verdicts import LAB, SHORT, assert_one_clear_error, evidence

# the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["ppo-smoke", "--n-envs", "0"],
        ["ppo-smoke", "--n-envs", "two"],
        ["ppo-smoke", "--total-steps", "-5"],
        ["ppo-smoke", "--total-steps", "50001"],
        ["ppo-smoke", "--out", "/tmp"],
        ["ppo-smoke", "--out", "/tmp/policy.pt"],
        ["render", "--out", "/tmp"],
        ["render", "--nosuch"],
        ["gpu", "--out", "x"],
        ["all", "--fast"],
        ["nosuch"],
        [],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_one_line(lab, arguments):
    run = lab.run(*LAB, "checks", *arguments)
    assert run.returncode == 2
    assert run.stderr.startswith("usage: ")
    assert run.stderr.count("error: ") == 1
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("check", ["render", "ppo-smoke"])
def test_output_that_cannot_be_written_is_found_first(lab, check):
    suffix = {"render": "png", "ppo-smoke": "zip"}[check]
    run = lab.run(*LAB, "checks", check, "--out", f"/proc/nosuch/out.{suffix}")
    assert_one_clear_error(run, {"render": "render", "ppo-smoke": "train"}[check], "output.unwritable")
    assert "train: " not in run.stderr.replace("error: train: ", "")


def test_wrong_expectation_without_the_door(lab):
    run = lab.run(".venv/bin/python", "-m", "checks.check_gpu", EXPECT="banana")
    assert (run.returncode, run.stderr) == (2, "error: EXPECT=banana is not one of auto, gpu, cpu\nfix: EXPECT=auto\n")


def test_list_envs_lists_what_can_be_made(lab):
    listed = lab.ok(*LAB, "checks", "list-envs").stdout.split()
    assert "FetchReach-v4" in listed and "FetchPickAndPlaceDense-v4" in listed
    assert not [name for name in listed if name.endswith("-v1")]  # those need mujoco_py, which is gone


def test_all_stops_at_the_first_failure(lab):
    run = lab.run(*LAB, "checks", "all", EXPECT="gpu")
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU")
    assert run.returncode == 1
    assert run.stdout == "" and "mujoco" not in run.stderr


def test_all_asks_in_the_chains_order(lab):
    """The first three: the fourth is asked by make verify in other tests, and takes a minute."""
    code = "import sys, checks.__main__ as m; assert m.CHECKS.popitem()[0] == 'ppo-smoke'; sys.exit(m.main(['all']))"
    run = lab.ok("docker/dev.sh", "python", "-c", code, EXPECT="cpu")
    assert [line.split()[1] for line in run.stdout.splitlines()] == ["gpu", "mujoco", "render"]


@pytest.mark.parametrize("check", ["gpu", "mujoco", "render", "train"])
def test_every_check_explains_itself(lab, check):
    run = lab.ok(*LAB, f"checks.check_{check}", "--help")
    assert "Passes when" in run.stdout


def test_unforeseen_cause_keeps_its_traceback_in_the_evidence(lab):
    """A name that Python cannot look up: nothing a check could know of."""
    code = "import sys, checks.mujoco_physics as p, checks.check_mujoco as c; p.ask = None; sys.exit(c.main([]))"
    run = lab.run("docker/dev.sh", "python", "-c", code)
    assert_one_clear_error(run, "mujoco", "mujoco.unforeseen")
    assert "TypeError" in evidence(lab, "mujoco")["traceback"]


def test_evidence_that_cannot_be_written_is_a_failure(lab):
    mount = "mkdir -p proof; mount -t tmpfs -o ro tmpfs proof"
    run = lab.run(*in_namespace(mount, *LAB, "checks", "gpu"))
    assert_one_clear_error(run, "gpu", "output.unwritable")


# the table at the end of make verify


def test_table_has_what_to_mend_first_on_top_and_lacks_no_check(lab, tmp_path):
    for check in ("gpu", "mujoco"):
        lab.ok(*LAB, "checks", check)
    lab.ok(*LAB, "checks", "ppo-smoke", *SHORT, "--out", str(tmp_path / "ppo.zip"))
    lab.ok(*LAB, "checks", "render", "--out", str(tmp_path / "frame.png"), MUJOCO_EGL_DEVICE_ID="7")
    table = lab.ok(*LAB, "checks.summary").stdout.splitlines()
    assert table[1].startswith("to mend first: ") and table[1].endswith("[render.device-id]")
    assert table[2].startswith("  unset MUJOCO_EGL_DEVICE_ID")
    assert [line.split()[:2] for line in table[5:9]] == [
        ["gpu", "skip"],
        ["mujoco", "ok"],
        ["render", "degraded"],
        ["train", "ok"],
    ]
    assert table[-1].startswith("verified: ")
    lab.run(*LAB, "checks", "render", MUJOCO_GL="glx")
    run = lab.run(*LAB, "checks.summary")
    assert run.returncode == 1 and run.stdout.splitlines()[-1] == "not verified: render"
    path = lab.path / "proof/render.json"
    path.write_text("{")
    run = lab.run(*LAB, "checks.summary")
    assert (run.returncode, run.stdout) == (1, "")
    assert "no evidence of check render" in run.stderr
    path.unlink()
