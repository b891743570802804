"""`make lock`: resolve what the lab asks for into what it gets, every pin with its hashes.

    requirements.in              ->  requirements.txt
    what torch's CPU wheel needs ->  env/torch-cpu-needs.txt
    uv                           ->  env/uv.txt

pip-compile (pip-tools) does the resolving, beginning from the present locks, so a pin that still
satisfies the bounds stays. All locks are resolved before the first is replaced, each by rename:
a resolve that fails leaves the tree as it was.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Container
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH_CPU = ROOT / "env/torch-cpu.txt"
# torch 2.13's own Requires-Dist; what of it requirements.txt pins is left out of the needs.
TORCH_NEEDS = ["filelock", "typing-extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec"]


class NoSolution(Exception):
    """Why pip-compile could not resolve a file, in its words."""


def pins(text: str) -> dict[str, str]:
    """Name to version of every `name==version` in a requirements file's text."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def write_stub(folder: Path, version: str) -> str:
    """Write a wheel named torch that needs nothing; return the version it carries.

    Resolving against it keeps torch's own needs (nvidia-*, triton) out of the lock. The local
    version is one that no index has, so nothing but the stub can satisfy the constraint.
    """
    version = f"{version.partition('+')[0]}+base.layer"
    info = f"torch-{version}.dist-info"
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return version


def resolve(folder: Path, source: str, present: Path, *options: str) -> str:
    """Resolve the requirements in `folder/source`; return the new text of the lock `present`.

    Raises NoSolution where pip-compile finds none.
    """
    print(f"lock: resolving {source}", flush=True)
    lock = folder / present.name
    lock.write_text(present.read_text() if present.exists() else "")
    options += ("--strip-extras", "--generate-hashes", "--no-emit-options", "--no-emit-index-url")
    options += ("--no-emit-find-links", "--no-emit-trusted-host", "--output-file", lock.name)
    run = subprocess.run(
        [sys.executable, "-m", "piptools", "compile", "--quiet", *options, source],
        cwd=folder,
        env=os.environ | {"CUSTOM_COMPILE_COMMAND": "make lock", "PIP_CONSTRAINT": ""},
        stderr=subprocess.PIPE,  # said only on failure: on success it warns that torch is not pinned
        text=True,
    )
    if run.returncode:
        raise NoSolution(run.stderr.strip())
    # The same warning again, at the end of the file.
    return lock.read_text().partition("\n# WARNING")[0].rstrip() + "\n"


def without(lock: str, names: Container[str]) -> str:
    """Return the text of `lock` less the pins of `names`."""
    head, *blocks = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)
    return head + "".join(block for block in blocks if block.partition("==")[0] not in names)


def main() -> int:
    """Resolve every lock, show what changes, swap them in."""
    main_lock, needs_lock, uv_lock = (
        ROOT / "requirements.txt",
        ROOT / "env/torch-cpu-needs.txt",
        ROOT / "env/uv.txt",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stub = write_stub(folder, pins(TORCH_CPU.read_text())["torch"])
        (folder / "base-layer.txt").write_text(f"torch=={stub}\n")
        (folder / "requirements.in").write_text((ROOT / "requirements.in").read_text())
        (folder / "torch-cpu.in").write_text("\n".join(TORCH_NEEDS) + "\n")
        (folder / "uv.in").write_text("uv\n")
        try:
            new = {
                main_lock: resolve(
                    *(folder, "requirements.in", main_lock),
                    *("--find-links", ".", "--constraint", "base-layer.txt", "--unsafe-package", "torch"),
                )
            }
            needs = resolve(folder, "torch-cpu.in", needs_lock, "--constraint", "requirements.txt")
            new[needs_lock] = without(needs, pins(new[main_lock]))
            new[uv_lock] = resolve(folder, "uv.in", uv_lock)
        except NoSolution as reason:
            print(f"{reason}\nerror: lock: pip-compile found no solution; no lock was changed", file=sys.stderr)
            print("fix: change the bounds in requirements.in, then: make lock", file=sys.stderr)
            return 1

    for lock, text in new.items():
        old = lock.read_text() if lock.exists() else ""
        if text == old:
            continue
        for name, version in sorted(pins(old).items() - pins(text).items()):
            print(f"-{name}=={version}")
        for name, version in sorted(pins(text).items() - pins(old).items()):
            print(f"+{name}=={version}")
        candidate = lock.with_suffix(".new")
        candidate.write_text(text)
        candidate.replace(lock)
        print(f"lock: {lock.relative_to(ROOT)} rewritten")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
