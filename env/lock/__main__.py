"""Refresh the locks, or say whether they still hold.

    python -m env.lock lock      make lock: resolve into candidate locks, try them, show what changes, install them
    python -m env.lock torch     make lock-base: the same, with the newest CPU wheel of torch
    python -m env.lock check     make lock-check: change nothing
    python -m env.lock wheels    make kit: the wheels of a kit

    requirements.in              ->  requirements.txt
    what torch's CPU wheel needs ->  env/torch-cpu-needs.txt
    uv                           ->  env/uv.txt
    pip-audit                    ->  env/lock/pip-audit.txt
    the candidate's physics      ->  checks/mujoco_golden.json

A new lock replaces the old one only if its packages can be installed for every Python and machine that the lab supports
and pass the checks here. Until then nothing in the tree is touched; a refusal, a failure or an interruption leaves it
byte for byte as it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
from pathlib import Path

from env.lock import swap, wheels
from env.lock.candidate import GOLDEN, Candidate
from env.lock.check import check
from env.lock.resolve import MACHINES, PYTHONS, ROOT, SOURCES, TORCH_CPU, Resolver, hashes, pins, reason
from env.lock.torch_wheel import bounds_of_torch, resolve_torch
from env.uv import Trouble, find_uv, own_environment, uv_environment

# What makes the physics: where none of these changes, the golden record stays.
PHYSICS = {"gymnasium", "gymnasium-robotics", "mujoco", "numpy"}


def show_changes(old: dict[str, str], new: dict[str, str]) -> set[str]:
    """Print what changes, lock by lock, as -old +new lines; return the names of the packages that do."""
    changed = set()
    for name in new:
        if old[name] == new[name]:
            continue
        before, after = pins(old[name]), pins(new[name])
        files_before, files_after = hashes(old[name]), hashes(new[name])
        lines = []
        for package in sorted(before | after):
            if before.get(package) != after.get(package):
                lines += [f"-{package}=={before[package]}"] if package in before else []
                lines += [f"+{package}=={after[package]}"] if package in after else []
            elif files_before[package] != files_after[package]:
                lines.append(f" {package}=={after[package]}: other files")
            else:
                continue
            changed.add(package)
        print(f"{name}:", *(lines or ["its comments alone"]), sep="\n  ", flush=True)
    return changed


def propose(arguments: argparse.Namespace, uv: Path, environment: dict[str, str], folder: Path, held: int) -> int:
    """Resolve, show, test and install; return the exit status. Raises Trouble."""
    old = {name: (ROOT / name).read_text() if (ROOT / name).exists() else "" for name in [TORCH_CPU, *SOURCES]}
    options = []
    if arguments.verb == "lock":
        options = ["--upgrade"] * (arguments.upgrade == "1") + [f"--upgrade-package={arguments.package}"] * bool(
            arguments.package
        )
    new = {TORCH_CPU: old[TORCH_CPU]}
    print("lock: resolving requirements.in", file=sys.stderr, flush=True)
    try:
        if arguments.verb == "torch":
            new[TORCH_CPU] = resolve_torch(uv, environment, folder, old[TORCH_CPU], bounds_of_torch())
        resolver = Resolver(uv, environment, folder, pins(new[TORCH_CPU])["torch"])
        new |= resolver.locks(*options)
    except Trouble as trouble:
        if "No solution" not in trouble.said:
            raise
        why = f"for Python {PYTHONS[0]}, the oldest that the lab supports, there is no solution: {reason(trouble.said)}"
        raise Trouble(why, "change the bounds in requirements.in, then: make lock") from None
    if len(hashes(new[TORCH_CPU])["torch"]) < len(PYTHONS) * len(MACHINES):
        raise Trouble(f"{TORCH_CPU} lacks a wheel for one of Python {', '.join(PYTHONS)}", "make lock-base")
    if new == old:
        print("lock: nothing changes")
        return 0
    changed = show_changes(old, new)
    print("lock: testing the candidate: an installable file for every Python and machine", file=sys.stderr, flush=True)
    resolver.platforms({name: new[name] for name in SOURCES})
    candidate = Candidate(swap.NEW / "tree", new, environment, held)
    candidate.test()
    if changed & PHYSICS:
        old[GOLDEN], new[GOLDEN] = (ROOT / GOLDEN).read_text(), (candidate.folder / GOLDEN).read_text()
    replaced = {name: text for name, text in new.items() if text != old[name]}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
    swap.swap(replaced)
    print(f"lock: replaced {', '.join(replaced)}; the next command rebuilds the environment")
    return 0


def wrong_usage(what: str, fix: str) -> int:
    """Print what is wrong with a setting; return the exit status."""
    print(f"error: {what}\nfix: {fix}", file=sys.stderr)
    return 2


def make_lock(arguments: argparse.Namespace) -> int:
    """Run one of lock, torch and check, alone, and leave nothing behind; return the exit status. Raises Trouble."""
    with swap.alone() as held:
        try:
            swap.finish()
            shutil.rmtree(swap.NEW, ignore_errors=True)
            environment = uv_environment({**own_environment(), "KIT": ""})
            uv = find_uv(environment)
            folder = swap.NEW / "resolve"
            folder.mkdir(parents=True)
            if arguments.verb == "check":
                return check(uv, environment, folder)
            return propose(arguments, uv, environment, folder, held)
        finally:
            shutil.rmtree(swap.NEW, ignore_errors=True)


def make_wheels(arguments: argparse.Namespace) -> int:
    """Fetch the wheels of a kit; return the exit status. Raises Trouble."""
    machine = arguments.machine or platform.machine()
    python = ".".join((arguments.python or platform.python_version()).split(".")[:2])
    for setting, value, allowed in (
        ("PLATFORM", machine, MACHINES),
        ("PYTHON_VERSION", python, PYTHONS),
        ("TORCH", arguments.torch, ["0", "1"]),
    ):
        if value not in allowed:
            return wrong_usage(
                f"{setting}={value} is not one of {', '.join(allowed)}", f"make kit {setting}={allowed[-1]}"
            )
    wheels.make(arguments.folder, machine, python, arguments.torch == "1")
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the arguments as make gives them: empty where they are not set."""
    parser = argparse.ArgumentParser(
        prog="python -m env.lock", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    lock = verbs.add_parser("lock")
    lock.add_argument("--upgrade", default="", help="1: take the newest of everything that the bounds allow")
    lock.add_argument("--package", default="", help="take the newest of this one, or the version that is given: a==1")
    verbs.add_parser("torch")
    verbs.add_parser("check")
    kit = verbs.add_parser("wheels")
    kit.add_argument("folder", type=Path)
    kit.add_argument("--machine", default="")
    kit.add_argument("--python", default="")
    kit.add_argument("--torch", default="1")
    return parser.parse_args(argv)


def wrong_package(package: str) -> bool:
    """Say whether no lock has this package, which may be given with a version."""
    name = package.partition("=")[0].lower().replace("_", "-")
    return not any(name in pins((ROOT / lock).read_text()) for lock in SOURCES if (ROOT / lock).exists())


def main(argv: list[str]) -> int:
    """Run what is asked for; return the exit status."""
    arguments = parse(argv)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.chdir(ROOT)
    if arguments.verb == "lock":
        if arguments.upgrade not in ("", "0", "1"):
            return wrong_usage(f"UPGRADE={arguments.upgrade} is not 0 or 1", "make lock UPGRADE=1")
        if arguments.upgrade == "1" and arguments.package:
            return wrong_usage("UPGRADE=1 means every package, PACKAGE one", "make lock PACKAGE=…")
        if arguments.package and wrong_package(arguments.package):
            fix = "the name of a package in requirements.txt; a new one goes into requirements.in"
            return wrong_usage(f"PACKAGE={arguments.package} is in none of the locks", fix)
    what = "kit" if arguments.verb == "wheels" else "lock"
    try:
        return make_wheels(arguments) if arguments.verb == "wheels" else make_lock(arguments)
    except Trouble as trouble:
        print(f"error: {what}: {trouble}\nfix: {trouble.fix}", file=sys.stderr)
    except OSError as reason:
        where = f"{reason.filename}: " if reason.filename else ""
        print(
            f"error: {what}: {where}{reason.strerror}\nfix: df -h . && ls -ld . env; then: make {what}", file=sys.stderr
        )
    except KeyboardInterrupt:
        print(f"\n{what}: interrupted", file=sys.stderr)
        return 130
    if arguments.verb in ("lock", "torch"):
        print("lock: refused; nothing has changed", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
