"""d: what it costs to find that nothing is to be done: make help, make venv and make image, all current."""

from __future__ import annotations

import statistics
import subprocess
import time

from bench.timing import LAB, ROOT, environment, run

TURNS = 5
CALLS = 5  # a turn's figure is their median


def turn(number: int, measured: dict) -> dict:
    """Call each target; milliseconds."""
    verbs = ["help", "venv", "image"]
    figures = {}
    _, engine = run([*LAB, "bash", "-c", 'echo "$ENGINE"'], "d: which engine")
    if engine.strip() == "local":
        verbs.remove("image")
        figures["image_absent"] = "the local engine has no image; make bench ONLY=d ENGINE=docker measures it"
    run(["make", *verbs], f"d: make {' '.join(verbs)}")  # current from here on
    seconds = {verb: [] for verb in verbs}
    for _ in range(CALLS):
        for verb in verbs:
            started = time.perf_counter()
            subprocess.run(["make", verb], cwd=ROOT, env=environment(), capture_output=True, check=True)
            seconds[verb].append(time.perf_counter() - started)
    return figures | {f"{verb}_ms": 1e3 * statistics.median(values) for verb, values in seconds.items()}
