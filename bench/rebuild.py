"""c: a virtual environment from nothing, by the lab's gate and by `pip install -r` of the same locks, caches warm."""

import os
import tempfile

from bench.timing import LAB, ROOT, SCRATCH, run


def turn(number: int) -> dict:
    """Build both and remove them, 1.3 GB each; the first turn does so once before, uncounted, to fill the caches."""
    figures = {}
    for note in ("",) if number else (", to fill its cache", ""):
        for name in ("pip", "lab"):
            with tempfile.TemporaryDirectory(prefix="venv-", dir=ROOT / SCRATCH, ignore_cleanup_errors=True) as folder:
                venv = f"{os.path.relpath(folder, ROOT)}/{name}"
                command = ["bench/pip.sh", venv] if name == "pip" else ["env", f"VENV={venv}", "env/venv.sh"]
                figures[f"{name}_s"], _ = run([*LAB, *command], f"c: {name}{note}")
    return figures
