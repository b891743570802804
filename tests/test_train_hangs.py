"""A training always ends: where nothing can be started, where what it waits for never comes, and on Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, Clone
from test_workers import descendants
from verdicts import LAB, SHORT, ask, assert_one_clear_error, injects, remedy

from checks import check_train, train_log, train_workers

PYTHON = (".venv/bin/python",)
CHECK = (*PYTHON, "-m", "checks.check_train")
ENDS = 60  # seconds, on a busy machine
CAPABILITIES = "+dac_override,+dac_read_search,+fowner"
# Somebody else, who has no processes, and may do with files what root may: root is exempt from the limit.
SOMEBODY = (
    "setpriv",
    "--reuid=54321",
    "--clear-groups",
    f"--inh-caps={CAPABILITIES}",
    f"--ambient-caps={CAPABILITIES}",
)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes a user who has no processes")


@pytest.fixture
def given_back(lab):
    """The lab, whose proof/ is no longer SOMEBODY's afterwards."""
    yield lab
    subprocess.run(["chown", "-R", f"{os.geteuid()}:{os.getegid()}", lab.path / "proof"], check=True)


def ended(process: subprocess.Popen) -> subprocess.CompletedProcess:
    """How a process ended, and what it said; it is an error if it does not."""
    try:
        out, err = process.communicate(timeout=ENDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"it hangs: {process.communicate()[1]}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@injects("train.limit-reached", "limits set when it makes its environments or replays: no process or thread, no memory")
@pytest.mark.parametrize(
    ("stepped_by", "limit", "function", "said"),
    [
        pytest.param(
            *("threads", "processes", "environments", "after 0 steps: RuntimeError: "), marks=pytest.mark.slow
        ),
        ("processes", "processes", "environments", "after 0 steps: EOFError: unexpected EOF"),
        ("threads", "processes", "replay", "after 400 steps: EOFError: unexpected EOF"),
        ("threads", "memory", "environments", "after 0 steps: "),
    ],
)
@needs_root
def test_training_that_is_given_nothing_more_ends(given_back, tmp_path, stepped_by, limit, function, said):
    program = (*SOMEBODY, *PYTHON, "tests/faults/limited.py", limit, function)
    options = (*SHORT, "--vec-env", stepped_by, "--out", str(tmp_path / "ppo.zip"))
    run = ended(given_back.start(*program, *options, EXPECT="cpu"))
    assert f"found: {said}" in run.stderr
    assert "ulimit -u 0" in run.stderr if limit == "processes" else "ulimit -v " in run.stderr
    assert "[train.limit-reached]\nfix: ulimit " in run.stderr
    assert run.returncode == 1


@injects("train.limit-reached", "ulimit -S -u 5, for four processes that simulate", "ulimit -Su hard; ulimit -Sv hard")
@pytest.mark.slow
@needs_root
def test_limit_of_processes_is_named_and_lifted(given_back, tmp_path):
    options = ("--n-envs", "4", "--total-steps", "400", "--vec-env", "processes", "--out", f"'{tmp_path}/ppo.zip'")
    command = " ".join((*CHECK, *options))
    few_threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # on many cores, too

    def run(script: str) -> subprocess.CompletedProcess:
        return ended(given_back.start(*SOMEBODY, "bash", "-c", script, **few_threads, EXPECT="cpu"))

    refused = run(f"ulimit -S -u 5; {command}")
    assert "limits here: ulimit -u 5" in refused.stderr and "[train.limit-reached]\n" in refused.stderr
    lifted = run(f"ulimit -S -u 5; {remedy(refused)}; {command}")
    assert lifted.returncode == 0, lifted.stderr


@injects("train.hangs", "a simulating process that was stopped by SIGSTOP, on a clock of 0.4 s to the minute")
def test_training_without_a_sign_of_life_ends(monkeypatch, tmp_path):
    stopped = []

    class Stopped(train_log.TrainingLog):
        def _on_training_start(self):
            super()._on_training_start()
            stopped.append(self.training_env.processes[-1].pid)
            os.kill(stopped[0], signal.SIGSTOP)
            signal.setitimer(signal.ITIMER_REAL, 0.4, 0.4)

    monkeypatch.setattr(train_log, "TrainingLog", Stopped)
    run = ask(check_train, *SHORT, "--vec-env", "processes", "--out", str(tmp_path / "ppo.zip"))
    assert_one_clear_error(run, "train", "train.hangs")
    assert f"stopped: {stopped[0]}" in run.stderr
    assert list(tmp_path.iterdir()) == []
    assert not Path(f"/proc/{stopped[0]}/exe").exists()


@injects("train.process-ended", "the process that replays ended by SIGKILL")
def test_replay_that_is_killed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(train_workers, "answer", kill_oneself)
    run = ask(check_train, *SHORT, "--out", str(tmp_path / "ppo.zip"))
    assert_one_clear_error(run, "train", "train.process-ended")
    assert "the one that replays was ended by signal 9" in run.stderr


def kill_oneself(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


SUSPENDED = """
import time
from checks import train_watch
train_watch.TICK = 0.1
with train_watch.watched():
    print("watched", flush=True)
    for _ in range(20):
        time.sleep(0.1)
        train_watch.alive("this")
"""


def test_training_that_was_suspended_goes_on():
    """Ctrl-Z and fg, or a scheduler: all of it stood still, for longer than it may be silent."""
    process = subprocess.Popen([sys.executable, "-c", SUSPENDED], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    process.send_signal(signal.SIGCONT)
    assert process.wait(ENDS) == 0
    process.stdout.close()


def ended_by_ctrl_c(process: subprocess.Popen) -> None:
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    run = ended(process)
    assert run.returncode == 130
    assert time.monotonic() - started < 10
    assert "train: interrupted" in run.stderr
    assert "Traceback" not in run.stderr


def training(lab: Clone, tmp_path: Path, *program: str) -> subprocess.Popen:
    options = ("--n-envs", "2", "--total-steps", "40000", "--out", str(tmp_path / "ppo.zip"))
    return lab.start(*program, *options)


def test_ctrl_c_ends_a_training_whose_process_was_stopped(lab, tmp_path):
    process = training(lab, tmp_path, *LAB, "checks.check_train", "--vec-env", "processes")
    next(line for line in process.stderr if line.startswith("train: "))
    workers = [pid for pid in descendants(process.pid) if parent(pid) != process.pid]
    os.kill(workers[0], signal.SIGSTOP)
    ended_by_ctrl_c(process)
    assert not Path(f"/proc/{workers[0]}/exe").exists()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_ctrl_c_ends_a_training_whose_thread_hangs(lab, tmp_path):
    process = training(lab, tmp_path, *PYTHON, "tests/faults/hanging_environment.py", "--vec-env", "threads")
    next(line for line in process.stderr if line == "hanging\n")
    ended_by_ctrl_c(process)
