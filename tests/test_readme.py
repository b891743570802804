"""The README is followed to the letter, in a fresh clone; and the pages agree with the code."""

from __future__ import annotations

import json
import re
import subprocess

import imageio.v3 as imageio
from conftest import ROOT, Clone
from stable_baselines3 import PPO

README = (ROOT / "README.md").read_text()
CAUSE = re.compile(r'"((?:gpu|mujoco|render|train|output)\.[a-z-]+)"')


def commands() -> list[str]:
    """Every command in the README's sh blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def assert_verified(clone: Clone, output: str) -> None:
    """The deliverables are there, and are what they are said to be."""
    words = [line.split()[1] for line in output.splitlines()[:6]]
    assert words == ["image", "venv", "gpu", "mujoco", "render", "train"]
    for check in ("gpu", "mujoco", "render", "train"):
        record = json.loads((clone.path / f"proof/{check}.json").read_text())
        assert record["verdict"] in ("ok", "skip"), record
    assert imageio.imread(clone.path / "smoke_frame.png").shape == (480, 480, 3)
    assert PPO.load(clone.path / "ppo_smoke.zip", device="cpu").num_timesteps == 50_000


def test_readmes_commands_work_in_a_fresh_clone(clone):
    listed = commands()
    assert listed[:2] == ["make verify", "make test"]
    listed.remove("make test")  # which is what runs this
    for command in listed:
        run = clone.ok("bash", "-c", command, ENGINE="auto")
        if command == "make verify":
            assert_verified(clone, run.stdout)
            again = clone.ok("make", "verify")
            assert "building" not in again.stderr


def test_readme_is_short():
    assert len(README.splitlines()) <= 100


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_cause_is_explained():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    causes = {cause for path in (ROOT / "checks").glob("*.py") for cause in CAUSE.findall(path.read_text())}
    assert len(causes) > 20
    assert not [cause for cause in causes if f"`{cause}`" not in page]
    assert not set(re.findall(r"`((?:gpu|mujoco|render|train|output)\.[a-z-]+)`", page)) - causes


def test_the_project_speaks_of_itself_alone():
    """No address of a package index in it: pip and apt know theirs. torch's CPU index is in one place."""
    host = "|".join(["py" + "pi.org", "python" + "hosted", "deb" + ".debian"])
    run = subprocess.run(["git", "grep", "-nE", host], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout == ""
