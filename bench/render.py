"""e: how long a frame of 480 × 480 takes, by GL backend."""

from __future__ import annotations

import json

from bench.timing import LAB, run

TURNS = 3


def turn(number: int, measured: dict) -> dict:
    """Draw with every backend of check-render; milliseconds a frame, and who drew."""
    _, out = run([*LAB, "python", "-m", "bench.drawing"], "e: drawing")
    figures = {}
    for backend, drawn in json.loads(out.splitlines()[-1]).items():
        if isinstance(drawn, str):
            figures[f"{backend}_absent"] = drawn
        else:
            figures |= {f"{backend}_ms": drawn["ms_per_frame"], f"{backend}_renderer": drawn["renderer"]}
    return figures
