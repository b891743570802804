"""g: how long a bare clone takes to the first check's verdict, and to verified; image, base layer, caches are warm."""

import tempfile
import time
from pathlib import Path

from bench.timing import ROOT, SCRATCH, run


def turn(number: int) -> dict:
    """Verify a clone that has no venv; seconds."""
    with tempfile.TemporaryDirectory(prefix="clone-", dir=ROOT / SCRATCH, ignore_cleanup_errors=True) as folder:
        clone = Path(folder) / "lab"
        run(["env/lock/copy.sh", str(clone)], "g: a bare clone")
        started = time.time()
        seconds, _ = run(["make", "-C", str(clone), "verify"], "g: make verify in it")
        return {"first_s": (clone / "proof/gpu.json").stat().st_mtime - started, "verified_s": seconds}
