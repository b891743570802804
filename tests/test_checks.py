"""What all checks share: the command line, the evidence, the table at the end."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import in_namespace
from verdicts import LAB, SHORT, ask, assert_degraded, assert_one_clear_error

from checks import CHECKS, check_gpu, check_mujoco, fetch, mujoco_physics, summary
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
    python = python_in(clone, lab, asked_all)
    clone.ok(*python, "checks", "render", MUJOCO_EGL_DEVICE_ID="7")
    table = clone.ok(*python, "checks.summary").stdout.splitlines()
    assert table[1].startswith("to mend first: ") and table[1].endswith("[render.device-id]")
    assert table[2].startswith("  unset MUJOCO_EGL_DEVICE_ID")
    verdicts = ["skip", "ok", "degraded", "ok"]
    assert [line.split()[:2] for line in table[5:9]] == [
        list(row) for row in zip(CHECKS.values(), verdicts, strict=True)
    ]
    works = "works (short training: learning not proven): smoke_frame.png, proof/ppo_trial.zip, proof/"
    assert table[-1] == works
    clone.run(*python, "checks", "render", MUJOCO_GL="glx")
    run = clone.run(*python, "checks.summary")
    assert run.returncode == 1 and run.stdout.splitlines()[-1] == "not verified: render"
    assert clone.run(*python, "checks.summary", STRICT="1").stdout.endswith("\nnot verified: render\n")


def python_in(clone, lab, asked_all) -> tuple[str, ...]:
    """Put what all the checks left into a clone without a venv; return the lab's Python, to be run there."""
    shutil.copytree(asked_all.proof, clone.path / "proof")
    shutil.copy(lab.path / "smoke_frame.png", clone.path)
    return (str(lab.venv / "bin/python"), "-m")


def summary_of(clone, python) -> str:
    """What the summary says where it refuses."""
    run = clone.run(*python, "checks.summary")
    assert (run.returncode, run.stdout) == (1, "")
    (error, fix) = run.stderr.splitlines()
    assert fix == "fix: make verify"
    return error


def test_check_that_was_killed_leaves_no_verdict(lab, clone, asked_all):
    """In training, as by a machine that runs out of memory: what was found before does not count any more."""
    python = python_in(clone, lab, asked_all)
    process = clone.start(*python, "checks", "ppo-smoke", "--n-envs=1", "--total-steps=40000")
    assert "train: 250 of" in next(line for line in process.stderr if line.startswith("train: "))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert re.search(
        "no evidence of check train in this run: it began at .* and has not ended", summary_of(clone, python)
    )


def test_evidence_of_another_run_does_not_count(lab, clone, asked_all):
    python = python_in(clone, lab, asked_all)
    render = (clone.path / "proof/render.json").read_bytes()
    clone.ok(*python, "checks", "gpu")
    assert {path.name for path in clone.path.glob("proof/*.json")} == {"run.json", "gpu.json"}
    clone.ok(*python, "checks", "mujoco")
    (clone.path / "proof/render.json").write_bytes(render)
    assert "no evidence of check render in this run: render.json is of another run" in summary_of(clone, python)


@pytest.mark.parametrize("change", ["remove", "change"])
def test_file_that_is_not_the_proven_one_is_named(lab, clone, asked_all, change):
    python = python_in(clone, lab, asked_all)
    checkpoint = clone.path / "proof/ppo_trial.zip"
    checkpoint.unlink() if change == "remove" else checkpoint.write_bytes(b"another")
    assert "proof/ppo_trial.zip" in summary_of(clone, python)


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        "{}",
        '{"check": "gpu"}',
        {"verdict": "fine"},
        {"verdict": None},
        {"facts": "words"},
        {"facts": [], "finding": None},
        {"finding": {"found": "x"}},
        {"seconds": "1"},
        {"evidence": {}},
        {"run": "0"},
    ],
    ids=str,
)
def test_record_that_is_none_is_an_error(asked_all, monkeypatch, tmp_path, capsys, record):
    shutil.copytree(asked_all.proof, tmp_path / "proof")
    path = tmp_path / "proof/render.json"
    path.write_text(record if isinstance(record, str) else json.dumps(json.loads(path.read_text()) | record))
    monkeypatch.setenv("PROOF", str(tmp_path / "proof"))
    assert summary.main() == 1
    assert capsys.readouterr().err.count("error: ") == 1


def test_trial_proves_nothing_about_the_protocols_files(lab, clone, asked_all):
    """A training that was verified, here of another length, and then a short one, with --out and without."""
    python = python_in(clone, lab, asked_all)
    trial, train = clone.path / "proof/train-trial.json", clone.path / "proof/train.json"
    trial.rename(train)
    before = train.read_bytes()
    for out in ([], ["--out=proof/short.zip"], ["--out=ppo_smoke.zip"]):
        run = clone.ok(*python, "checks", "ppo-smoke", *SHORT, *out)
        assert "too few to prove learning" in run.stdout
    assert train.read_bytes() == before
    assert json.loads(trial.read_text())["evidence"]["out"] == "ppo_smoke.zip"


def test_proof_says_where_all_goes(lab, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in lab.path.iterdir()}
    proof = tmp_path / "not there yet" / "proof"
    run = lab.ok("make", "verify", "STEPS=400", f"PROOF={proof}")
    works = f"works (short training: learning not proven): {proof}/smoke_frame.png, {proof}/ppo_trial.zip, {proof}/"
    assert run.stdout.splitlines()[-1] == works
    names = ["gpu.json", "mujoco.json", "ppo_trial.zip", "render.json", "run.json", "smoke_frame.png", "tensorboard"]
    assert sorted(path.name for path in proof.iterdir()) == [*names, "train-trial.json"]
    assert {path: path.stat().st_mtime_ns for path in lab.path.iterdir()} == before
