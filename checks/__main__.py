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
import subprocess
import sys

from checks import CHECKS, causes
from checks.arguments import positive
from checks.mujoco_errors import import_failure
from checks.verdict import report


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


def run_all(options: list[str]) -> int:
    """Run the checks in order, each in a process of its own; return the status of the first that fails."""
    parser = argparse.ArgumentParser(prog="proof-of-life all")
    parser.add_argument("--total-steps", type=positive, help="of the training")
    if steps := parser.parse_args(options).total_steps:
        os.environ["STEPS"] = str(steps)
    for check in CHECKS.values():
        if status := subprocess.run([sys.executable, "-m", f"checks.check_{check}"], check=False).returncode:
            return status
    return 0


def explain(asked: list[str]) -> int:
    """Print what causes mean and what helps, or all their ids; status 2 for one that is not known."""
    known = causes.known()
    for cause in asked or known:
        if cause not in known:
            near = [other for other in known if other.startswith(cause.partition(".")[0])]
            print(f"error: {cause} is not a diagnosis\nfix: one of {', '.join(near or known)}", file=sys.stderr)
            return 2
        print(f"{cause}\n  cause:  {known[cause].meaning}\n  remedy: {known[cause].fix}" if asked else cause)
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
        return importlib.import_module(f"checks.check_{CHECKS[chosen.name]}").main(chosen.options)
    if chosen.name == "explain":
        return explain(chosen.options)
    if chosen.name == "all":
        return run_all(chosen.options)
    if chosen.options:
        arguments.error("list-envs takes no options")
    return list_envs()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # the check that was running has said so
        sys.exit(130)
