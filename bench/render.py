"""e: how long a frame of 480 × 480 takes, by GL backend. In the lab, `python -m bench.render` draws and prints JSON."""

import json
import tempfile
from pathlib import Path

from bench.timing import LAB, run


def turn(number: int) -> dict:
    """Draw with every backend of check-render; milliseconds a frame and who drew, or why it does not draw."""
    return json.loads(run([*LAB, "python", "-m", "bench.render"], "e: drawing")[1])


def main() -> None:
    """Draw, print."""
    from checks.check_render import BACKENDS, probe

    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for backend in BACKENDS:
            drawn = probe(backend, Path(folder) / "frame.npy")
            if isinstance(drawn, dict):
                figures |= {f"{backend.name}_ms": drawn["ms_per_frame"], f"{backend.name}_renderer": drawn["renderer"]}
            else:
                figures[f"{backend.name}_absent"] = drawn.found
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
