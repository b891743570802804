"""a: check-train against the plain recipe: wall time of the whole process, steps/s, and what each has learned."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from bench.timing import IN_LAB, LAB, ROOT, run

TURNS = 5  # seeds
EVIDENCE = ROOT / "proof" / "train.json"


def turn(number: int, measured: dict) -> dict:
    """Train with both, the turn's number the seed; then compare the two policies on the same episodes."""
    policies = {name: str(IN_LAB / f"{name}-{number}.zip") for name in ("plain", "lab")}
    plain_s, out = run(plain_training(policies["plain"], number), f"a: plain recipe, seed {number}")
    plain = json.loads(out.splitlines()[-1])
    with kept(EVIDENCE):
        train = ["python", "-m", "checks.check_train", "--seed", str(number), "--out", policies["lab"]]
        lab_s, _ = run([*LAB, *train], f"a: check-train, seed {number}")
        lab = json.loads(EVIDENCE.read_text())["evidence"]
    _, out = run([*LAB, "python", "-m", "bench.evaluate", *policies.values()], "a: evaluating both")
    returns = json.loads(out.splitlines()[-1])
    return {
        "plain_s": plain_s,
        "lab_s": lab_s,
        "plain_steps": plain["timesteps"],
        "lab_steps": lab["timesteps"],
        "plain_steps_per_s": plain["steps_per_second"],
        "lab_steps_per_s": lab["steps_per_second"],
        "plain_device": plain["device"],
        "lab_device": lab["device"],
        "plain_return": returns[policies["plain"]],
        "lab_return": returns[policies["lab"]],
    }


def plain_training(out: str, seed: int) -> list[str]:
    """Return the command of the plain recipe's fourth step."""
    return [*LAB, "python", "-m", "bench.plain", "ppo-smoke", "--seed", str(seed), "--out", out]


@contextlib.contextmanager
def kept(path: Path) -> Iterator[None]:
    """Put a file back as it was when the block ends: the evidence in proof/ is of the last verification."""
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    finally:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(before)
