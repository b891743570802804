"""What all checks share: the command line, the evidence, the table at the end."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from conftest import in_namespace
from verdicts import LAB, SHORT, ask, assert_degraded, assert_one_clear_error, injects, remedy

from checks import CHECKS, check_gpu, check_mujoco, check_train, fetch, mujoco_physics, summary
from checks import evidence as kept
from checks.__main__ import main
from checks.causes import Failure, Finding
from checks.output import written_by_rename
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
    proof = tmp_path_factory.mktemp("asked") / "proof"
    return AskedAll(lab.ok(*LAB, "checks", "all", "--total-steps=400", EXPECT="cpu", PROOF=str(proof)).stdout, proof)


class Evidence:
    """The evidence of all the checks, copied for a test to change; `run` asks the lab about it."""

    def __init__(self, lab, asked_all: AskedAll, folder: Path):
        self.lab, self.path = lab, shutil.copytree(asked_all.proof, folder)
        for path in folder.glob("*.json"):
            path.write_text(path.read_text().replace(str(asked_all.proof), str(folder)))
        self.of = json.loads((folder / "run.json").read_text())["of"]

    def run(self, *arguments: str, **environment: str):
        return self.lab.run(*LAB, *arguments, **{"EXPECT": "cpu", "PROOF": str(self.path)} | environment)

    def refused(self) -> str:
        """What the summary says, which refuses: in this process, that takes itself for the one that began the run."""
        with (
            redirect_stdout(StringIO()) as out,
            redirect_stderr(StringIO()) as err,
            mock.patch.dict(os.environ, PROOF=str(self.path)),
            mock.patch.object(kept, "made_of", lambda: self.of),
        ):
            assert (summary.main(), out.getvalue()) == (1, "")
        (error, fix) = err.getvalue().splitlines()
        assert fix == "fix: make verify"
        return error


@pytest.fixture
def asked(lab, asked_all, tmp_path) -> Evidence:
    return Evidence(lab, asked_all, tmp_path / "proof")


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


def test_table_has_what_to_mend_first_on_top_and_lacks_no_check(asked):
    asked.run("checks", "render", MUJOCO_EGL_DEVICE_ID="7")
    table = asked.run("checks.summary").stdout.splitlines()
    assert table[1].startswith("to mend first: ") and table[1].endswith("[render.device-id]")
    assert table[2].startswith("  unset MUJOCO_EGL_DEVICE_ID")
    verdicts = ["skip", "ok", "degraded", "ok"]
    assert [line.split()[:2] for line in table[5:9]] == [
        list(row) for row in zip(CHECKS.values(), verdicts, strict=True)
    ]
    assert table[-1].startswith("works (short training: learning not proven): ")
    assert asked.run("checks.summary", STRICT="1").stdout.endswith("\nnot verified: render\n")
    asked.run("checks", "render", MUJOCO_GL="glx")
    run = asked.run("checks.summary")
    assert run.returncode == 1 and run.stdout.splitlines()[-1] == "not verified: render"


def long_training(asked: Evidence):
    """Start one that would take minutes, and return it once it trains."""
    options = ("--n-envs=1", "--total-steps=40000")
    process = asked.lab.start(*LAB, "checks", "ppo-smoke", *options, EXPECT="cpu", PROOF=str(asked.path))
    assert "train: 250 of" in next(line for line in process.stderr if line.startswith("train: "))
    return process


@injects("output.busy", "a training whose make was killed, and which goes on", "kill …")
def test_check_that_was_killed_leaves_no_verdict_and_one_that_goes_on_is_named(asked):
    """In training, as by a machine that runs out of memory: what was found before does not count any more."""
    process = long_training(asked)
    run = asked.run("checks", "gpu")
    assert_one_clear_error(run, "gpu", "output.busy")
    assert f"process {process.pid} [output.busy]" in run.stderr
    asked.lab.ok("bash", "-c", remedy(run).replace("kill", "kill -KILL"))
    assert re.search("no evidence of check train in this run: it began at .* and has not ended", asked.refused())
    asked.lab.ok(*LAB, "checks", "gpu", EXPECT="cpu", PROOF=str(asked.path))  # though nobody has waited for it yet
    process.communicate()


def test_evidence_of_another_run_does_not_count(asked):
    render = (asked.path / "render.json").read_bytes()
    asked.run("checks", "gpu")
    assert {path.name for path in asked.path.glob("*.json")} == {"run.json", "gpu.json"}
    asked.run("checks", "mujoco")
    (asked.path / "render.json").write_bytes(render)
    assert "no evidence of check render in this run: render.json is of another run" in asked.refused()


@pytest.mark.parametrize("of", ["clone", "environment", "version of the checks", "EXPECT", "machine, or one"])
def test_evidence_of_something_else_does_not_count(asked, of):
    """Copied from another clone or machine; or packages, checks or settings have changed since."""
    run = json.loads((asked.path / "run.json").read_text())
    (name,) = [name for name in run["of"] if name.startswith(of)]
    run["of"][name] = "another"
    (asked.path / "run.json").write_text(json.dumps(run))
    assert asked.refused().endswith(f"the run is of another {name}")


@pytest.mark.parametrize("change", ["remove", "change"])
def test_file_that_is_not_the_proven_one_is_named(asked, change):
    checkpoint = asked.path / "ppo_trial.zip"
    checkpoint.unlink() if change == "remove" else checkpoint.write_bytes(b"another")
    assert str(checkpoint) in asked.refused()


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
def test_record_that_is_none_is_an_error(asked, record):
    path = asked.path / "render.json"
    path.write_text(record if isinstance(record, str) else json.dumps(json.loads(path.read_text()) | record))
    assert asked.refused().startswith("error: ")


def test_trial_proves_nothing_about_the_protocols_files(asked):
    """A training that was verified, here of another length, and then a short one with the same --out."""
    trial, train = asked.path / "train-trial.json", asked.path / "train.json"
    trial.rename(train)
    before = train.read_bytes()
    product = str(asked.path / "ppo_smoke.zip")
    run = asked.run("checks", "ppo-smoke", *SHORT, f"--out={product}")
    assert "too few to prove learning" in run.stdout
    assert train.read_bytes() == before
    assert json.loads(trial.read_text())["evidence"]["out"] == product


def test_proof_says_where_all_goes(lab, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in lab.path.iterdir()}
    proof = tmp_path / "not there yet" / "proof"
    run = lab.ok("make", "verify", "STEPS=400", f"PROOF={proof}")
    works = f"works (short training: learning not proven): {proof}/smoke_frame.png, {proof}/ppo_trial.zip, {proof}/"
    assert run.stdout.splitlines()[-1] == works
    names = ["gpu.json", "mujoco.json", "ppo_trial.zip", "render.json", "run.json", "smoke_frame.png", "tensorboard"]
    assert sorted(path.name for path in proof.iterdir()) == [*names, "train-trial.json"]
    assert {path: path.stat().st_mtime_ns for path in lab.path.iterdir()} == before


@injects("output.not-the-labs", "a train.json of the user's, and a folder of that name, in PROOF", "PROOF=…")
@pytest.mark.parametrize("content", ["mine", '{"loss": 1}', None])
def test_file_of_the_users_in_proof_stays(lab, tmp_path, content):
    mine = tmp_path / "train.json"
    mine.mkdir() if content is None else mine.write_text(content)
    run = lab.run(*LAB, "checks", "gpu", PROOF=str(tmp_path))
    assert_one_clear_error(run, "gpu", "output.not-the-labs")
    assert list(tmp_path.iterdir()) == [mine]
    lab.ok(*LAB, "checks", "gpu", PROOF=f"{tmp_path}/proof")


# where it is written to, and who reads it


def test_file_that_cannot_be_replaced_is_found_first(tmp_path):
    """Read-only, no plain file, immutable even for root: before the training, not after it."""
    out = tmp_path / "ppo.zip"
    os.mkfifo(out)
    assert_one_clear_error(ask(check_train, "--out", str(out)), "train", "output.unwritable")
    out.unlink()
    out.write_bytes(b"good")
    out.chmod(0o444)
    assert_one_clear_error(ask(check_train, "--out", str(out)), "train", "output.unwritable")
    out.chmod(0o644)
    if subprocess.run(["chattr", "+i", out], check=False, capture_output=True).returncode == 0:
        assert_one_clear_error(ask(check_train, "--out", str(out)), "train", "output.unwritable")
        subprocess.run(["chattr", "-i", out], check=True)
    assert (out.read_bytes(), list(tmp_path.iterdir())) == (b"good", [out])


def test_what_was_made_is_kept_where_it_cannot_be_put_in_place(tmp_path):
    """As on a file system that goes read-only meanwhile; here the file becomes a folder."""
    with pytest.raises(Failure, match="what was made is") as failed, written_by_rename(tmp_path / "ppo.zip") as path:
        path.write_bytes(b"hours of training")
        (tmp_path / "ppo.zip").mkdir()
    assert path.read_bytes() == b"hours of training" and str(path) in failed.value.finding.found


@pytest.mark.parametrize(
    ("check", "verdict", "command"),
    [("gpu", "skip", "{} | true"), ("mujoco", "ok", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {}")],
)
def test_record_is_written_whoever_reads_the_line(lab, tmp_path, check, verdict, command):
    script = command.format(f"docker/dev.sh python -m checks {check}") + "; exit ${PIPESTATUS[0]}"
    assert lab.ok("bash", "-c", script, PROOF=str(tmp_path), EXPECT="cpu").stderr == ""
    assert json.loads((tmp_path / f"{check}.json").read_text())["verdict"] == verdict


def test_shell_that_prints_as_it_starts_is_not_taken_for_an_answer(lab, tmp_path):
    """BASH_ENV, as some clusters' modules set it: with it a GPU machine trained on the CPU, and said ok."""
    (tmp_path / "modules").write_text("echo Loading modules\n")
    program = "from checks.expectation import expected; print(expected())"
    for wanted in ("gpu", "cpu"):
        run = lab.ok(".venv/bin/python", "-c", program, EXPECT=wanted, BASH_ENV=str(tmp_path / "modules"))
        assert run.stdout == f"{wanted}\n"
