"""d: what it costs to find that nothing is to be done: make help, make venv and make image, all current."""

import statistics
import subprocess
import time

from bench.timing import ENVIRONMENT, LAB, ROOT, run

CALLS = 5  # a turn's figure is their median


def turn(number: int) -> dict:
    """Call each target; milliseconds."""
    seconds, figures, container = {"help": [], "venv": [], "image": []}, {}, "_container"
    if run([*LAB, "printenv", "ENGINE"], "d: which engine")[1] == "local":
        container = ""
        del seconds["image"]
        figures["image_absent"] = "the local engine has no image; make bench ONLY=d ENGINE=docker measures it"
    run(["make", *seconds], f"d: make {' '.join(seconds)}")  # current from here on
    for _ in range(CALLS):
        for verb, taken in seconds.items():
            started = time.perf_counter()
            subprocess.run(["make", verb], cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=True)
            taken.append(time.perf_counter() - started)
    figures |= {f"{verb}_ms": 1e3 * statistics.median(taken) for verb, taken in seconds.items()}
    return figures | {f"venv{container}_ms": figures.pop("venv_ms")}
