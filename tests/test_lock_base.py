"""torch's CPU wheel, as make lock-base refreshes it; from an index on loopback, its own being out of reach here."""

from __future__ import annotations

import hashlib
import re
from http.server import BaseHTTPRequestHandler
from itertools import product
from pathlib import Path

import pytest
from conftest import ROOT, served

from env.lock.resolve import MACHINES, PYTHONS, hashes, pins
from env.lock.torch_wheel import bounds_of_torch, resolve_torch
from env.uv import Trouble, find_uv, own_environment, uv_environment

PRESENT = (ROOT / "env/torch-cpu.txt").read_text()
MAJOR, MINOR = map(int, pins(PRESENT)["torch"].split(".")[:2])
NEWER = f"{MAJOR}.{MINOR + 1}.0+cpu"


def wheels(version: str, *lacking: tuple[str, str]) -> dict[str, str]:
    """Name to sha256 of the wheels of a version, as the index lists them; without those for `lacking`."""
    cases = [case for case in product(PYTHONS, MACHINES) if case not in lacking]
    tags = [f"cp{python.replace('.', '')}" for python, _ in cases]
    names = [f"torch-{version}-{tag}-{tag}-manylinux_2_28_{case[1]}.whl" for tag, case in zip(tags, cases, strict=True)]
    return {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


def index(files: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    """A simple index of torch with these files and their metadata; nobody asks for the files themselves."""

    class Index(BaseHTTPRequestHandler):
        def do_GET(self):
            link = '<a href="/{0}#sha256={1}" data-core-metadata="true">{0}</a>'
            name = self.path.strip("/").removesuffix(".metadata").replace("%2B", "+")
            if self.path == "/torch/":
                kind, body = "text/html", "\n".join(link.format(*file) for file in files.items())
            elif name in files:
                kind, body = "text/plain", f"Metadata-Version: 2.1\nName: torch\nVersion: {name.split('-')[1]}\n"
            else:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    return Index


def refreshed(files: dict[str, str], folder: Path, asked: list[str]) -> str:
    """What env/torch-cpu.txt becomes with that index."""
    environment = uv_environment(own_environment()) | {"UV_CACHE_DIR": str(folder / "cache")}
    with served(index(files)) as address:
        lock = PRESENT.replace("https://download.pytorch.org/whl/cpu", address)
        return resolve_torch(find_uv(environment), environment, folder, lock, asked).replace(address, "ADDRESS")


def test_newest_torch_that_every_machine_can_have_is_taken(tmp_path):
    old, new = wheels(pins(PRESENT)["torch"]), wheels(NEWER)
    text = refreshed(old | new, tmp_path, bounds_of_torch())
    assert pins(text) == {"torch": NEWER}
    assert hashes(text)["torch"] == set(new.values())
    assert text.startswith(PRESENT.partition("# index: ")[0])


def test_bound_of_requirements_in_holds_for_torch(tmp_path):
    text = refreshed(wheels(pins(PRESENT)["torch"]) | wheels(NEWER), tmp_path, [f"torch<{MAJOR}.{MINOR + 1}"])
    assert pins(text) == pins(PRESENT)


def test_same_torch_is_the_same_file(tmp_path):
    files = dict(zip(wheels(pins(PRESENT)["torch"]), hashes(PRESENT)["torch"], strict=True))
    text = refreshed(files, tmp_path, bounds_of_torch())
    assert text.replace("ADDRESS", "https://download.pytorch.org/whl/cpu") == PRESENT


def test_torch_without_a_wheel_for_one_machine_is_refused(tmp_path):
    said = re.escape(f"torch {NEWER} has no wheel for Python {PYTHONS[-1]}, aarch64")
    with pytest.raises(Trouble, match=said):
        refreshed(wheels(NEWER, (PYTHONS[-1], "aarch64")), tmp_path, bounds_of_torch())


def test_index_that_does_not_answer_is_said(edited):
    pin = edited.path / "env/torch-cpu.txt"
    pin.write_text(pin.read_text().replace("https://download.pytorch.org", "http://127.0.0.1:9"))
    run = edited.run(".venv/bin/python", "-m", "env.lock", "torch")
    assert run.returncode == 1
    assert "error: lock: packages cannot be fetched" in run.stderr and "then: make lock-base" in run.stderr
    assert not list(edited.path.glob(".lock.*"))
