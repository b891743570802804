"""`make lock-check`: is the lock still what it says? For CI; changes nothing.

Passes when every pin satisfies requirements.in, nothing is locked that nothing asks for, every locked hash is still
served, and no known vulnerability has a version that mends it. A source that does not answer makes it `degraded`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from env.lock.resolve import HEADER, ROOT, SOURCES, TORCH_CPU, Resolver, hashes, pins, reason
from env.lock.torch_wheel import resolve_torch
from env.uv import Trouble, run_watched


def differences(name: str, present: str, again: str) -> list[str]:
    """Say where a lock is not what the same pins, resolved again, give."""
    before, after = hashes(present), hashes(again)
    lines = HEADER.count("\n")
    found = [f"{name} pins {package}, which nothing asks for" for package in before.keys() - after.keys()]
    found += [f"{name} does not pin {package}, which is asked for" for package in after.keys() - before.keys()]
    for package in before.keys() & after.keys():
        if gone := before[package] - after[package]:
            found.append(f"{name}: {package} is no longer served with sha256 {', '.join(sorted(gone))}")
    if not before:
        found.append(f"{name} is not there, or empty")
    elif present.splitlines()[:lines] != again.splitlines()[:lines]:
        found.append(f"{name} says of itself that it was made for something else than it would be now")
    return sorted(found)


def audit(uv: Path, environment: dict[str, str], folder: Path) -> tuple[list[str], list[str], str]:
    """Ask pip-audit's service; return what a newer version mends, what none does, and how that went, in words."""
    venv = folder / "audit"
    run_watched([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, venv], environment)
    locked = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--requirements=env/lock/pip-audit.txt"]
    python = f"--python={venv}/bin/python"
    run_watched([uv, "pip", "install", "--quiet", python, *locked], environment, show=False, again="make lock-check")
    options = ["--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off", f"--cache-dir={folder}"]
    files = ["--requirement=requirements.txt", "--requirement=env/torch-cpu-needs.txt"]
    command = [venv / "bin/pip-audit", *options, *files]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        packages = []
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:  # it calls every package "not found" then, and no vulnerability known
        return [], [], "vulnerabilities not known: pip-audit's service does not answer from here"
    mended, open_ = [], []
    for package in asked:
        for vulnerability in package["vulns"]:
            what = f"{package['name']} {package['version']} has {vulnerability['id']}"
            if vulnerability["fix_versions"]:
                mended.append(f"{what}, mended in {', '.join(vulnerability['fix_versions'])}")
            else:
                open_.append(f"{what}, which no version mends yet")
    known = "no known vulnerability" if not mended + open_ else f"{len(mended + open_)} known vulnerabilities"
    return mended, open_, f"{known} in {len(asked)} of {len(packages)} packages"


def check(uv: Path, environment: dict[str, str], folder: Path) -> int:
    """Say how the locks are; return the exit status. Raises Trouble."""
    present = {name: (ROOT / name).read_text() if (ROOT / name).exists() else "" for name in [TORCH_CPU, *SOURCES]}
    torch = pins(present[TORCH_CPU])["torch"]
    try:
        again = Resolver(uv, environment, folder, torch).locks(check=True)
    except Trouble as trouble:
        if "No solution" not in trouble.said:
            raise
        why = f"the locked versions no longer satisfy what is asked for: {reason(trouble.said)}"
        raise Trouble(why, "make lock") from None
    wrong = [line for name in SOURCES for line in differences(name, present[name], again[name])]
    words = [f"{len(pins(present['requirements.txt']))} packages as requirements.in asks", "every hash is served"]
    warnings = []
    try:
        served = resolve_torch(uv, environment, folder, present[TORCH_CPU], [f"torch=={torch}"])
        gone = hashes(present[TORCH_CPU])["torch"] - hashes(served)["torch"]
        wrong += [f"{TORCH_CPU}: torch is no longer served with sha256 {sha256}" for sha256 in sorted(gone)]
    except Trouble as trouble:
        if "cannot be fetched" not in str(trouble):
            raise
        words.append("but torch's index does not answer from here")
        warnings.append("torch's index")
    mended, open_, said = audit(uv, environment, folder)
    wrong += mended
    if open_ or "not known" in said:
        warnings.append("vulnerabilities")
    for line in open_:
        print(f"warning: lock: {line}", file=sys.stderr)
    if wrong:
        for line in wrong:
            print(f"error: lock: {line}", file=sys.stderr)
        print("fix: make lock; for a vulnerability: make lock PACKAGE=the package", file=sys.stderr)
        return 1
    print(f"{'degraded' if warnings else 'ok':<10}lock     {' · '.join([*words, said])}")
    return int(bool(warnings) and os.environ.get("STRICT") == "1")
