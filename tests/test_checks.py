"""What all checks share: the command line, the evidence, the table at the end."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import in_namespace
from verdicts import LAB, ask, assert_degraded, assert_one_clear_error

from checks import CHECKS, check_gpu, check_mujoco, fetch, mujoco_physics
from checks.__main__ import main
from checks.causes import Finding
from checks.verdict import Verdict

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
def test_wrong_usage_is_status_2_and_one_line(capsys, arguments):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    err = capsys.readouterr().err
    assert err.startswith("usage: ")
    assert err.count("error: ") == 1


@pytest.mark.parametrize(("check", "suffix"), [("render", "png"), ("ppo-smoke", "zip")], ids=["render", "ppo-smoke"])
def test_output_that_cannot_be_written_is_found_first(check, suffix):
    module = importlib.import_module(f"checks.check_{CHECKS[check]}")
    run = ask(module, "--out", f"/proc/nosuch/out.{suffix}")
    assert_one_clear_error(run, CHECKS[check], "output.unwritable")
    assert run.stderr.count("train: ") <= 1  # of the error


def test_wrong_expectation_without_the_door(lab):
    run = lab.run(".venv/bin/python", "-m", "checks.check_gpu", EXPECT="banana")
    assert (run.returncode, run.stderr) == (2, "error: EXPECT=banana is not one of auto, gpu, cpu\nfix: EXPECT=auto\n")


def test_list_envs_lists_what_can_be_made(lab):
    listed = lab.ok(*LAB, "checks", "list-envs").stdout.split()
    assert set(fetch.ENV_IDS) <= set(listed)
    assert not [name for name in listed if name.endswith("-v1")]  # those need mujoco_py, which is gone


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="there is a GPU")
def test_all_stops_at_the_first_failure(lab):
    run = lab.run(*LAB, "checks", "all", EXPECT="gpu")
    assert run.returncode == 1
    assert run.stdout == "" and "mujoco" not in run.stderr


class AskedAll(NamedTuple):
    """What all the checks said, and a copy of the evidence that they left."""

    stdout: str
    proof: Path


@pytest.fixture(scope="module")
def asked_all(lab, tmp_path_factory) -> AskedAll:
    run = lab.ok(*LAB, "checks", "all", "--total-steps", "400", EXPECT="cpu")
    return AskedAll(run.stdout, shutil.copytree(lab.path / "proof", tmp_path_factory.mktemp("asked") / "proof"))


def test_all_asks_in_the_chains_order(asked_all):
    assert [line.split()[1] for line in asked_all.stdout.splitlines()] == list(CHECKS.values())


@pytest.mark.parametrize("check", CHECKS.values())
def test_every_check_explains_itself(lab, check):
    run = lab.ok(*LAB, f"checks.check_{check}", "--help")
    assert "Passes when" in run.stdout


def test_unforeseen_cause_keeps_its_traceback_in_the_evidence(monkeypatch):
    """What should be called is nothing that can be: nothing a check could know of."""
    monkeypatch.setattr(mujoco_physics, "ask", None)
    run = ask(check_mujoco)
    assert_one_clear_error(run, "mujoco", "mujoco.unforeseen")
    assert "TypeError" in run.record["traceback"]


def test_evidence_that_cannot_be_written_is_a_failure(lab):
    mount = "mkdir -p proof; mount -t tmpfs -o ro tmpfs proof"
    run = lab.run(*in_namespace(mount, *LAB, "checks", "gpu"))
    assert_one_clear_error(run, "gpu", "output.unwritable")


@pytest.mark.parametrize(("strict", "status"), [("0", 0), ("1", 1)])
def test_degraded_is_a_failure_where_that_is_asked_for(monkeypatch, strict, status):
    finding = Finding("gpu.busy", "it all", "half")
    monkeypatch.setattr(check_gpu, "question", lambda *_: Verdict("degraded", ("half of it works",), finding))
    run = ask(check_gpu, STRICT=strict)
    assert_degraded(run._replace(returncode=0), "gpu", "gpu.busy")
    assert (run.returncode, run.record["verdict"]) == (status, "degraded")


# the table at the end of make verify


def test_table_has_what_to_mend_first_on_top_and_lacks_no_check(asked_all, lab, clone):
    python = (str(lab.venv / "bin/python"), "-m")
    shutil.copytree(asked_all.proof, clone.path / "proof")
    clone.ok(*python, "checks", "render", MUJOCO_EGL_DEVICE_ID="7")
    table = clone.ok(*python, "checks.summary").stdout.splitlines()
    assert table[1].startswith("to mend first: ") and table[1].endswith("[render.device-id]")
    assert table[2].startswith("  unset MUJOCO_EGL_DEVICE_ID")
    verdicts = ["skip", "ok", "degraded", "ok"]
    assert [line.split()[:2] for line in table[5:9]] == [
        list(row) for row in zip(CHECKS.values(), verdicts, strict=True)
    ]
    assert table[-1].startswith("verified: ")
    clone.run(*python, "checks", "render", MUJOCO_GL="glx")
    run = clone.run(*python, "checks.summary")
    assert run.returncode == 1 and run.stdout.splitlines()[-1] == "not verified: render"
    (clone.path / "proof/render.json").write_text("{")
    run = clone.run(*python, "checks.summary")
    assert (run.returncode, run.stdout) == (1, "")
    assert "no evidence of check render" in run.stderr
