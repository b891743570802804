"""The benchmark measures, keeps and judges; how fast this machine is, no test asks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT

from bench import __main__ as driver
from bench import table


def record(expect: str = "cpu", **turns: list[dict]) -> dict:
    """A record as the driver keeps it, of questions with these turns."""
    questions = {name: {"date": "2026-01-01", "revision": "abc", "turns": given} for name, given in turns.items()}
    return {"schema": 1, "machine": {"cpu": "a processor", "expect": expect, "gpu": None}, "questions": questions}


def cells(text: str, line: str) -> list[str]:
    """The cells of one line of the table."""
    (found,) = [row for row in text.splitlines() if f"| {line} " in row]
    return [cell.strip() for cell in found.strip("|").split("|")]


def running_in(folder: Path) -> list[str]:
    """The processes whose working directory it is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
    return found


def training(plain_s: float, lab_s: float, lab_return: float = -2.0) -> dict:
    figures = {"plain_s": plain_s, "lab_s": lab_s, "plain_steps_per_s": 500.0, "lab_steps_per_s": 1500.0}
    return figures | {"plain_return": -2.0, "lab_return": lab_return}


@pytest.mark.parametrize(("expect", "verdict"), [("cpu", "holds"), ("gpu", "does not hold")])
def test_target_is_that_of_the_machine(expect, verdict):
    text = table.table(record(expect, a=[training(100, 40)]))
    assert cells(text, "check-train ÷ the plain recipe, wall time")[2::4] == ["0.40", verdict]


def test_ratio_is_the_median_of_the_turns_ratios():
    """A turn in which the machine was slow slows both: 60/100, 120/300 and 40/100."""
    text = table.table(record(a=[training(100, 60), training(300, 120), training(100, 40)]))
    wall = cells(text, "check-train ÷ the plain recipe, wall time")
    assert wall == ["a", "check-train ÷ the plain recipe, wall time", "0.40", "0.40 to 0.60", "3", "≤ 0.50", "holds"]
    assert cells(text, "check-train, wall time")[2:4] == ["60.0 s", "40.0 to 120"]


def test_learning_less_than_the_plain_recipe_does_not_hold():
    text = table.table(record(a=[training(100, 40, lab_return=-3.0)]))
    assert cells(text, "return of check-train's policy − the plain recipe's")[-1] == "does not hold"


def test_what_is_absent_is_said_and_not_judged():
    text = table.table(record(b=[{"lab_1": 900.0, "lab_2": 1000.0, "physics_1": 2000.0, "envpool_absent": "no wheel"}]))
    assert "not measured: b, envpool: no wheel" in text
    assert "EnvPool" not in text
    assert cells(text, "lab, 2 cores ÷ 1 core")[-2:] == ["≥ 1.25", "does not hold"]


def test_make_bench_measures_keeps_and_prints(lab):
    run = lab.ok("make", "bench", "ONLY=d", "TURNS=1")
    kept = json.loads((lab.path / "proof/bench.json").read_text())
    assert kept["machine"]["engine"] == "local" and kept["machine"]["mujoco"]
    (turn,) = kept["questions"]["d"]["turns"]
    assert 0 < turn["help_ms"] < turn["venv_ms"]
    assert cells(run.stdout, "make help")[4:6] == ["1", "≤ 50.0 ms"]
    assert "not measured: d, image: the local engine has no image" in run.stdout


def test_plain_recipe_trains_and_is_evaluated(lab):
    python = ["docker/dev.sh", "python", "-m"]
    (lab.path / "proof").mkdir(exist_ok=True)
    train = ["bench.plain", "ppo-smoke", "proof/p.zip", "0", "1", "1000"]  # seed, environments, steps
    trained = json.loads(lab.ok(*python, *train).stdout.splitlines()[-1])
    assert trained["timesteps"] == 1024
    returns = lab.ok(*python, "bench.train", "evaluate", "proof/p.zip").stdout
    assert -20 < json.loads(returns)["proof/p.zip"] < 0


@pytest.mark.parametrize("name", ["lab", "physics"])
def test_steps_are_counted_by_cores(lab, name):
    program = f"from bench import environments as e; e.WINDOW = 0.1; e.main({name!r})"
    rates = json.loads(lab.ok("docker/dev.sh", "python", "-c", program).stdout)
    assert {f"{name}_1", f"{name}_2"} <= set(rates) or os.cpu_count() < 2
    assert all(10 < rate < 1e6 for rate in rates.values())


def test_interrupted_bench_keeps_its_turns(lab):
    """Interrupted while pip, which the bench's script has started, waits for an index that never answers."""
    before = json.dumps(record(d=[{"help_ms": 3.0}]))
    (lab.path / "proof").mkdir(exist_ok=True)
    (lab.path / "proof/bench.json").write_text(before)
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(120)
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        process = lab.start("python3", "-m", "bench", "--only", "c", PIP_INDEX_URL=url, NO_PROXY="127.0.0.1")
        with index.accept()[0]:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            deadline = time.monotonic() + 20
            while running := running_in(lab.path):
                assert time.monotonic() < deadline, running
                time.sleep(0.1)
    assert process.returncode == 130
    assert "bench: interrupted" in err and "Traceback" not in err
    assert (lab.path / "proof/bench.json").read_text() == before
    assert not list(lab.path.glob("proof/bench/venv-*"))


def test_command_that_fails_is_named(lab):
    run = lab.run("python3", "-m", "bench", "--only", "c", "--turns", "1", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert run.returncode == 1
    named = r"^error: bench: docker/dev.sh bench/pip.sh proof/bench/venv-\S+/pip torch ended with status 1:$"
    assert len(re.findall(named, run.stderr, re.MULTILINE)) == 1
    assert "No matching distribution" in run.stderr and "\nfix: " in run.stderr and "Traceback" not in run.stderr
    assert not list(lab.path.glob("proof/bench/venv-*"))


def test_questions_are_those_the_package_names():
    listed = subprocess.run(["python3", "-m", "bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in driver.QUESTIONS:
        assert f"\n    {name}    " in listed.stdout
