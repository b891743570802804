"""c: a virtual environment from nothing, by the lab's gate and by `pip install -r` of the same locks, caches warm."""

from __future__ import annotations

import shutil

from bench.timing import IN_LAB, LAB, SCRATCH, run

TURNS = 3


def turn(number: int, measured: dict) -> dict:
    """Build both and remove them; the first turn does so once before, uncounted, to fill the caches."""
    builders = {
        "pip": ["bench/pip.sh", str(IN_LAB / "venv-pip")],
        "lab": ["env", f"VENV={IN_LAB / 'venv-lab'}", "env/venv.sh"],
    }
    figures = {}
    try:
        for warm in (False, True) if number == 0 else (True,):
            for name, command in builders.items():
                remove()
                figures[f"{name}_s"], _ = run([*LAB, *command], f"c: {name}" + ("" if warm else ", to fill its cache"))
    finally:
        remove()
    return figures


def remove() -> None:
    """Remove both venvs: 1.3 GB each."""
    for folder in SCRATCH.glob("venv-*"):
        shutil.rmtree(folder, ignore_errors=True)  # it may be ending in this moment
