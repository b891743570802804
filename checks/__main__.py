"""The checks under the names of the protocol.

    python -m checks list-envs                                         the Fetch environments that can be made
    python -m checks gpu                                               test 1: GPU access
    python -m checks mujoco                                            test 2: physics and environments
    python -m checks render --out smoke_frame.png                      test 3: headless rendering
    python -m checks ppo-smoke --n-envs 8 --total-steps 50000 --out F  test 4: a training loop
    python -m checks all                                               the four tests, to the first that fails
    python -m checks explain [render.variable]                         what a diagnosis means, and what helps

`proof-of-life` is the same command. `--help` after a name tells more.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

from checks.check_mujoco import import_failure
from checks.verdict import report

TROUBLESHOOTING = Path(__file__).parent.parent / "docs/troubleshooting.md"
CHECKS = {"gpu": "check_gpu", "mujoco": "check_mujoco", "render": "check_render", "ppo-smoke": "check_train"}


def list_envs() -> int:
    """Print the ids of the Fetch environments, one a line; status 1 where there is none."""
    os.environ["MUJOCO_GL"] = "disable"  # a list needs no GL
    try:
        from checks import fetch
    except (ImportError, OSError) as reason:
        report("list-envs", "fail", import_failure(reason).finding)
        return 1
    ids = fetch.registered()
    print(*ids, sep="\n")
    if not ids:
        print("error: no Fetch environment is registered\nfix: rm -rf .venv && make venv", file=sys.stderr)
    return int(not ids)


def run_all() -> int:
    """Run the checks in order, each in a process of its own; return the status of the first that fails."""
    for module in CHECKS.values():
        if status := subprocess.run([sys.executable, "-m", f"checks.{module}"], check=False).returncode:
            return status
    return 0


def explain(causes: list[str]) -> int:
    """Print what docs/troubleshooting.md says of the causes, or all their ids; status 2 for one it does not know."""
    rows = re.findall(r"^\| `([a-z.-]+)`[^|]*\| (.*?) \| (.*?) \|$", TROUBLESHOOTING.read_text(), re.MULTILINE)
    known = {cause: texts for cause, *texts in rows}
    for cause in causes or known:
        if cause not in known:
            near = [other for other in known if other.startswith(cause.partition(".")[0])]
            print(f"error: {cause} is not a diagnosis\nfix: one of {', '.join(near or known)}", file=sys.stderr)
            return 2
        print(f"{cause}\n  cause:  {known[cause][0]}\n  remedy: {known[cause][1]}" if causes else cause)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for; return its exit status."""
    arguments = argparse.ArgumentParser(
        prog="proof-of-life", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("name", choices=["list-envs", *CHECKS, "all", "explain"])
    arguments.add_argument("options", nargs=argparse.REMAINDER, help="of that check")
    chosen = arguments.parse_args(argv)
    if chosen.name in CHECKS:
        return importlib.import_module(f"checks.{CHECKS[chosen.name]}").main(chosen.options)
    if chosen.name == "explain":
        return explain(chosen.options)
    if chosen.options:
        arguments.error(f"{chosen.name} takes no options")
    return list_envs() if chosen.name == "list-envs" else run_all()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # the check that was running has said so
        sys.exit(130)
