"""f: make verify, warm, against the plain recipe's four steps in sequence."""

from __future__ import annotations

from bench.timing import IN_LAB, LAB, run
from bench.train import plain_training

TURNS = 3


def turn(number: int, measured: dict) -> dict:
    """Verify, and do the four steps; the fourth, which is long, is not repeated where (a) has just measured it."""
    plain_s = 0.0
    for step in (["gpu"], ["list-envs"], ["render", "--out", str(IN_LAB / "plain.png")]):
        seconds, _ = run([*LAB, "python", "-m", "bench.plain", *step], f"f: plain recipe, {step[0]}")
        plain_s += seconds
    if ("a", number) in measured:
        plain_s += measured["a", number]["plain_s"]
    else:
        seconds, _ = run(plain_training(str(IN_LAB / "plain-f.zip"), number), "f: plain recipe, ppo-smoke")
        plain_s += seconds
    verify_s, _ = run(["make", "verify"], "f: make verify")
    return {"plain_s": plain_s, "verify_s": verify_s}
