"""What uv installs from its cache is what the locked wheels hold, also where another project has changed the cache."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from conftest import ROOT

from env.uv import find_uv, install, make_venv, own_environment, uv_environment


def new_venv(uv: Path, environment: dict[str, str], folder: Path) -> Path:
    """Make an empty venv; return where its packages go."""
    make_venv(uv, environment, folder)
    return next(folder.glob("lib/python*/site-packages"))


def test_file_that_another_project_changed_in_uvs_cache_is_not_installed(tmp_path, capfd):
    """uv links where it can: whoever edits a package in a venv of his own edits what the cache holds."""
    environment = {**own_environment(), "UV_CACHE_DIR": str(tmp_path / "cache")}
    environment = uv_environment(environment)
    uv, lock = find_uv(environment), tmp_path / "lock.txt"
    text = (ROOT / "requirements.txt").read_text()
    names = ("farama-notifications", "tqdm")
    lock.write_text("".join(re.search(rf"^{name}==(?:.*\\\n)+.*\n", text, re.MULTILINE)[0] for name in names))
    theirs = new_venv(uv, environment, tmp_path / "theirs")
    linked = [uv, "pip", "install", "--quiet", "--link-mode=hardlink", "--no-deps", f"--python={tmp_path}/theirs"]
    subprocess.run([*linked, "--requirements", lock], env=environment, check=True)
    file = theirs / "tqdm/std.py"
    whole = file.read_bytes()
    assert file.stat().st_nlink > 1, "nothing is linked, and this proves nothing"
    with file.open("ab") as edited:
        edited.write(b"raise SystemExit('edited')\n")
    capfd.readouterr()

    ours = new_venv(uv, environment, tmp_path / "ours")
    install(uv, environment, tmp_path / "ours", lock)
    said = capfd.readouterr().err
    assert (ours / "tqdm/std.py").read_bytes() == whole
    assert "warning: venv: tqdm/std.py is not what the wheel of tqdm holds: uv's cache has it changed" in said
    fix = re.search(r"^fix: (.*)$", said, re.MULTILINE)[1]
    subprocess.run(fix, shell=True, env=environment, check=True)

    again = new_venv(uv, environment, tmp_path / "again")
    capfd.readouterr()
    install(uv, environment, tmp_path / "again", lock)
    assert "warning" not in capfd.readouterr().err
    assert (again / "tqdm/std.py").read_bytes() == whole
