"""torch's CPU wheels, which every Python and machine of the lab must have: which are there, which is the newest."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

from env.lock.resolve import GLIBC, MACHINES, PYTHONS, ROOT, pins, reason
from env.uv import Trouble, run_watched

OTHER_SOURCES = ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "PIP_NO_INDEX")


def bounds_of_torch() -> list[str]:
    """Return what requirements.in asks of torch."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.in").read_text().splitlines()]
    return [line for line in lines if re.match(r"torch\b(?!-)", line)]


def resolve_torch(uv: Path, environment: dict[str, str], folder: Path, present: str, asked: list[str]) -> str:
    """Return the text of env/torch-cpu.txt with the newest torch of its index that satisfies `asked`.

    Raises Trouble where the index does not answer, or lacks a wheel for a Python and machine of the lab.
    """
    index = re.search(r"^# index: (\S+)", present, re.MULTILINE).group(1)
    environment = {name: value for name, value in environment.items() if name not in OTHER_SOURCES}
    source, lock = folder / "torch.in", folder / "torch.txt"
    source.write_text("\n".join(asked) + "\n")
    options = ["--quiet", "--no-deps", "--only-binary=:all:", f"--default-index={index}", "--refresh"]
    form = ["--generate-hashes", "--no-header", "--no-annotate", f"--output-file={lock}"]

    def platform(python: str, machine: str) -> list[str]:
        return [f"--python-version={python}", f"--python-platform={machine}-{GLIBC}"]

    def ask(*arguments: str | Path) -> None:
        run_watched([uv, "pip", *arguments], environment, show=False, again="make lock-base")

    ask("compile", *options, *platform(PYTHONS[0], MACHINES[0]), *form, source)
    text = lock.read_text()
    for python, machine in product(PYTHONS, MACHINES):
        try:
            dry = ["--dry-run", "--require-hashes", f"--target={folder}/none"]
            ask("install", *options, *dry, *platform(python, machine), f"--requirements={lock}")
        except Trouble as trouble:
            if "No solution" not in trouble.said:
                raise
            why = f"torch {pins(text)['torch']} has no wheel for Python {python}, {machine}: {reason(trouble.said)}"
            raise Trouble(why, "wait until its index has one, or bound torch in requirements.in") from None
    return present.partition("torch==")[0] + text
