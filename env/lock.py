"""`make lock`: resolve requirements.in into candidate locks, prove them, show what changes, swap them in; or refuse.

    requirements.in              ->  requirements.txt
    what torch's CPU wheel needs ->  env/torch-cpu-needs.txt
    uv                           ->  env/uv.txt
    pip-audit                    ->  env/pip-audit.txt
    the candidate's physics      ->  checks/golden.json

A candidate must be installable for every Python and machine that the lab supports, and pass the checks here. Until
then nothing in the tree is touched; a refusal, a failure or an interruption leaves it byte for byte as it was.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

import lock_swap
from fetch import Trouble, find_uv, own_environment, uv_environment
from lock_base import bounds_of_torch, resolve_torch
from lock_check import check
from lock_proof import GOLDEN, Candidate
from lock_resolve import PYTHONS, ROOT, SOURCES, TORCH_CPU, Resolver, hashes, pins, reason

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
    """Resolve, prove, show and swap; return the exit status. Raises Trouble."""
    old = {name: (ROOT / name).read_text() if (ROOT / name).exists() else "" for name in [TORCH_CPU, *SOURCES]}
    options = ["--upgrade"] if arguments.upgrade == "1" else []
    if arguments.package:
        options = [f"--upgrade-package={arguments.package}"]
    new = {TORCH_CPU: old[TORCH_CPU]}
    print("lock: resolving requirements.in", file=sys.stderr, flush=True)
    try:
        if arguments.base:
            new[TORCH_CPU] = resolve_torch(uv, environment, folder, old[TORCH_CPU], bounds_of_torch())
        resolver = Resolver(uv, environment, folder, pins(new[TORCH_CPU])["torch"])
        new |= resolver.locks(*options)
    except Trouble as trouble:
        if "No solution" not in trouble.said:
            raise
        why = f"for Python {PYTHONS[0]}, the oldest that the lab supports, there is no solution: {reason(trouble.said)}"
        raise Trouble(why, "change the bounds in requirements.in, then: make lock") from None
    if new == old:
        print("lock: nothing changes")
        return 0
    changed = show_changes(old, new)
    print("lock: proving it: an installable file for every Python and machine", file=sys.stderr, flush=True)
    resolver.platforms({name: new[name] for name in SOURCES})
    candidate = Candidate(lock_swap.NEW / "tree", new, environment, held)
    candidate.prove()
    if changed & PHYSICS:
        old[GOLDEN], new[GOLDEN] = (ROOT / GOLDEN).read_text(), (candidate.folder / GOLDEN).read_text()
    replaced = {name: text for name, text in new.items() if text != old[name]}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
    lock_swap.swap(replaced)
    print(f"lock: replaced {', '.join(replaced)}; the next command builds the environment anew")
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the arguments as make gives them, empty where they are not set; exits with status 2 for a wrong one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", default="0", help="1: take the newest of everything that the bounds allow")
    parser.add_argument("--package", default="", help="take the newest of this one, or the version that is given: a==1")
    parser.add_argument("--base", action="store_true", help="take the newest CPU wheel of torch, too")
    parser.add_argument("--check", action="store_true", help="change nothing: env/lock_check.py")
    arguments = parser.parse_args(argv)
    name = arguments.package.partition("=")[0].lower().replace("_", "-")
    for wrong, what, fix in (
        (arguments.upgrade not in ("0", "1"), f"UPGRADE={arguments.upgrade} is not 0 or 1", "make lock UPGRADE=1"),
        (arguments.upgrade == "1" and name, "UPGRADE=1 means every package, PACKAGE one", "make lock PACKAGE=…"),
        (
            name and not any(name in pins((ROOT / lock).read_text()) for lock in SOURCES if (ROOT / lock).exists()),
            f"PACKAGE={arguments.package} is in none of the locks",
            "the name of a package in requirements.txt; a new one goes into requirements.in",
        ),
    ):
        if wrong:
            print(f"error: {what}\nfix: {fix}", file=sys.stderr)
            sys.exit(2)
    return arguments


def main(argv: list[str]) -> int:
    """Run what is asked for, alone, and leave nothing behind; return the exit status."""
    arguments = parse(argv)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.chdir(ROOT)
    try:
        with lock_swap.alone() as held:
            try:
                lock_swap.finish()
                shutil.rmtree(lock_swap.NEW, ignore_errors=True)
                environment = uv_environment({**own_environment(), "KIT": ""})
                uv = find_uv(environment)
                folder = lock_swap.NEW / "resolve"
                folder.mkdir(parents=True)
                if arguments.check:
                    return check(uv, environment, folder)
                return propose(arguments, uv, environment, folder, held)
            finally:
                shutil.rmtree(lock_swap.NEW, ignore_errors=True)
    except Trouble as trouble:
        print(f"error: lock: {trouble}\nfix: {trouble.fix}", file=sys.stderr)
    except OSError as reason:
        where = f"{reason.filename}: " if reason.filename else ""
        print(f"error: lock: {where}{reason.strerror}\nfix: df -h . && ls -ld . env; then: make lock", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nlock: interrupted", file=sys.stderr)
        return 130
    if not arguments.check:
        print("lock: refused; nothing was changed", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
