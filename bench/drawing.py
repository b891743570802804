"""Draw with each GL backend of check_render and print as JSON what it measured, or why it does not draw."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from checks.check_render import BACKENDS, probe

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({backend.name: probe(backend, Path(folder) / "frame.npy") for backend in BACKENDS}))
