"""f: make verify, warm, against the plain recipe's four steps in sequence."""

from bench.timing import LAB, SCRATCH, run
from bench.train import plain_training


def turn(number: int) -> dict:
    """Verify, and do the four steps; the fourth, which is long, is not repeated where (a) has just measured it."""
    plain_s = 0.0
    for step in (["gpu"], ["list-envs"], ["render", f"{SCRATCH}/plain.png"]):
        plain_s += run([*LAB, "python", "-m", "bench.plain", *step], f"f: plain recipe, {step[0]}")[0]
    plain_s += plain_training(number)["s"]
    return {"plain_s": plain_s, "verify_s": run(["make", "verify"], "f: make verify")[0]}
