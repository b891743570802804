"""Test a candidate: the gate builds its environment in a copy of the repository, and the checks judge it there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from checks import CHECKS
from env.lock.resolve import ROOT
from env.uv import Trouble, find_uv
from env.venv_key import BASE_LOCKS

GOLDEN = "checks/mujoco_golden.json"
TOTAL_STEPS = 4_000  # of the shortened training: it runs, saves and loads, and gives a speed
# These depend on the machine: where they also fail with the present lock, the candidate is not to blame.
MACHINES_OWN = ["check_gpu", "check_render"]


class Candidate:
    """A copy of the repository in `folder`, with other locks in it; `held` is the descriptor its processes keep."""

    def __init__(self, folder: Path, locks: dict[str, str], environment: dict[str, str], held: int):
        self.folder = folder
        self.held = held
        subprocess.run([ROOT / "env/lock/copy.sh", folder], check=True)
        for name, text in locks.items():
            (folder / name).write_text(text)
        self.environment = environment | {"PYTHON": sys.executable, "VENV": ".venv", "PROOF": "", "STEPS": ""}
        self.environment["LAB_UV"] = str(find_uv(environment, folder / "env/uv.txt"))
        if any(
            locks.get(name, "") != (ROOT / name).read_text() for name in BASE_LOCKS
        ):  # a torch on trial is not shared
            self.environment["LAB_BASE"] = str(folder / ".base")

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess:
        """Run a command in the copy to its end; its processes do not outlive this one."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            pass_fds=[self.held],
        )
        try:
            out, err = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def build(self) -> None:
        """Build the candidate's environment. Raises Trouble."""
        print("lock: testing the candidate: its environment", file=sys.stderr, flush=True)
        run = self.run("env/venv.sh")
        if run.returncode:
            print(run.stderr.rstrip(), file=sys.stderr)
            why = "the candidate's environment cannot be built; the reason is above"
            raise Trouble(why, "change the bounds in requirements.in, then: make lock")

    def check(self, module: str, *options: str, present: bool = False) -> subprocess.CompletedProcess:
        """Run a module of checks/ with the candidate's packages; `present`: with those of the present lab."""
        venv = Path(sys.prefix) if present else self.folder / ".venv"
        path = f"{venv}/bin:{os.environ['PATH']}"
        return self.run(venv / "bin/python", "-m", f"checks.{module}", *options, VIRTUAL_ENV=str(venv), PATH=path)

    def test(self) -> None:
        """Run the checks, and say what differs in physics and speed. Raises Trouble, which names the failed check."""
        self.build()
        print("lock: testing the candidate: its physics", file=sys.stderr, flush=True)
        golden = self.check("mujoco_golden")
        if golden.returncode == 0:
            print(golden.stdout.rstrip())
        for check in (f"check_{name}" for name in CHECKS.values() if name != "train"):
            print(f"lock: testing the candidate: {check}", file=sys.stderr, flush=True)
            run = self.check(check)
            if run.returncode and check in MACHINES_OWN and self.check(check, present=True).returncode:
                print(f"warning: lock: {check} fails here with the present lock too: make {check}", file=sys.stderr)
            elif run.returncode:
                raise failure(check, run)
        if golden.returncode:
            raise failure("golden", golden)
        print(f"lock: testing the candidate: {TOTAL_STEPS:,} training steps, old and new", file=sys.stderr, flush=True)
        old, new = self.speed(present=True), self.speed()
        before = f"{old:,.0f}" if old else "the present lab does not train"
        print(f"speed: {before} -> {new:,.0f} training steps/s")

    def speed(self, present: bool = False) -> float:
        """Return the steps a second of the shortened training; 0 where the present lab cannot do it. Raises Trouble."""
        run = self.check("check_train", f"--total-steps={TOTAL_STEPS}", present=present)
        if run.returncode:
            if present:
                return 0.0
            raise failure("check_train", run)
        record = json.loads((self.folder / "proof/train-trial.json").read_text())
        return record["evidence"]["steps_per_second"]


def failure(check: str, run: subprocess.CompletedProcess) -> Trouble:
    """Return the Trouble of a check that failed: what it found, or, where it died, its last words."""
    found = [line.removeprefix("found: ") for line in run.stderr.splitlines() if line.startswith("found: ")]
    why = found[-1] if found else f"status {run.returncode}: {' '.join(run.stderr.split())[-300:]}"
    fix = "keep the package that broke it within bounds in requirements.in, then: make lock"
    return Trouble(f"the candidate fails {check}: {why}", fix)
