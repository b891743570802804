"""Draw with each GL backend of check_render and print as JSON what it measured, or why it does not draw."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from checks.check_render import BACKENDS, Backend, probe


def drawn(backend: Backend, folder: Path) -> dict | str:
    """Return what the backend's probe measured, or why it does not draw."""
    found = probe(backend, folder / "frame.npy")
    return found if isinstance(found, dict) else found.found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps({backend.name: drawn(backend, Path(name)) for backend in BACKENDS}))
