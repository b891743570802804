"""c: a venv from nothing, by the lab's gate and by `pip install -r` of the same locks, caches warm.

Twice: with torch on both sides, where the lab makes the base layer; and over the base layer that is there.
"""

import os
import tempfile
from pathlib import Path

from bench.timing import LAB, ROOT, SCRATCH, run

LABS_BASE = 'grep -qs "^base " "$VIRTUAL_ENV/.requirements_hash" && echo torch; echo'


def turn(number: int) -> dict:
    """Build all and remove them, 1.3 GB each; the first turn does so once before, uncounted, to fill the caches."""
    kinds = [*run([*LAB, "bash", "-c", LABS_BASE], "c: whose base layer")[1].split(), ""]
    figures = {}
    for note in ("",) if number else (", to fill its cache", ""):
        for torch in kinds:
            for name in ("pip", "lab"):
                what = f"c: {name}, {torch or 'over the base layer'}{note}"
                seconds, _ = build(name, torch, what)
                figures[f"{name}_{torch or 'over_base'}_s"] = seconds
    return figures


def build(name: str, torch: str, what: str) -> tuple[float, str]:
    """Build one and remove it; with a base layer of its own where `torch` says so."""
    with tempfile.TemporaryDirectory(prefix="venv-", dir=ROOT / SCRATCH, ignore_cleanup_errors=True) as folder:
        here = Path(os.path.relpath(folder, ROOT))
        if name == "pip":
            return run([*LAB, "bench/pip.sh", str(here / name), torch], what)
        base = [f"LAB_BASE={here}/base"] if torch else []
        return run([*LAB, "env", *base, f"VENV={here / name}", "env/venv.sh"], what)
