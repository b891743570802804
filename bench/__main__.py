"""The driver: asks the questions in turns, keeps the record, prints the table."""

import json
import os
import platform
import re
import signal
import sys
import time
from argparse import ArgumentParser, RawTextHelpFormatter
from importlib.metadata import version
from pathlib import Path
from subprocess import TimeoutExpired, getoutput

import bench
from bench import environments, fresh, idle, rebuild, render, train, verify
from bench.table import table
from bench.timing import LAB, ROOT, SCRATCH, CommandFailed, run
from checks import outside

QUESTIONS = {"a": train, "b": environments, "c": rebuild, "d": idle, "e": render, "f": verify, "g": fresh}
TURNS = {"a": 5, "d": 5}  # of the others 3
RECORD = ROOT / "proof" / "bench.json"


def machine() -> dict:
    """Return what the figures are of: the machine, and the versions that matter."""
    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    try:
        gpus = outside.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], 20).stdout
    except (OSError, TimeoutExpired):
        gpus = ""
    return {
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "architecture": platform.machine(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": "; ".join(gpus.splitlines()) or None,
        "engine": os.environ["ENGINE"],
        "expect": os.environ["EXPECT"],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "mujoco", "gymnasium-robotics", "stable-baselines3")},
    }


def measure(names: list[str], turns: int | None) -> int:
    """Ask the questions, keeping each turn once it is complete; return 1 if one of them could not be answered."""
    (ROOT / SCRATCH).mkdir(parents=True, exist_ok=True)
    here = json.loads(run([*LAB, "python", "-m", "bench", "--machine"], "the machine")[1])
    record, status = {"schema": 1, "machine": here, "questions": {}}, 0
    for name in names:
        revision = getoutput("git describe --always --dirty --exclude='*' 2>/dev/null") or "unknown"
        entry = {"date": time.strftime("%Y-%m-%d"), "revision": revision, "turns": []}
        for number in range(turns or TURNS.get(name, 3)):
            try:
                entry["turns"].append({"load": os.getloadavg()[0], **QUESTIONS[name].turn(number)})
            except CommandFailed as reason:
                print(f"error: bench: {reason}\nfix: make verify; then run that command by itself", file=sys.stderr)
                status = 1
                break
            record["questions"][name] = entry
            fresh = RECORD.with_name(".bench.json")
            fresh.write_text(json.dumps(record, indent=2) + "\n")
            fresh.replace(RECORD)
    if record["questions"]:
        print(f"\n{table(record)}\nrecord: {RECORD.relative_to(ROOT)}")
    return status


def main() -> int:
    """Read the command line and run; return the exit status."""
    arguments = ArgumentParser("python -m bench", description=bench.__doc__, formatter_class=RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), help="these questions")
    arguments.add_argument("--turns", type=int, help="of each question; by default 5 for a and d, else 3")
    arguments.add_argument("--machine", action="store_true", help="print what figures are of; the driver asks the lab")
    chosen = arguments.parse_args()
    if chosen.turns is not None and chosen.turns < 1:
        arguments.error(f"--turns {chosen.turns} is not a positive whole number")
    if chosen.machine:
        print(json.dumps(machine()))
        return 0
    return measure(chosen.only, chosen.turns)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nbench: interrupted; the turns that were complete are in proof/bench.json", file=sys.stderr)
        sys.exit(130)
    except (CommandFailed, OSError) as reason:  # there is no lab; or proof/ cannot be written to, or its disk is full
        sys.exit(f"error: bench: {reason}\nfix: make venv; ls -ld proof; df -h .")
