"""The README is followed to the letter, in a fresh clone; and the pages agree with the code."""

from __future__ import annotations

import json
import re
import subprocess

import imageio.v3 as imageio
import pages
import pytest
from conftest import ROOT, Clone
from stable_baselines3 import PPO

from checks import CHECKS, causes

README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """Every command in the README's sh blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def assert_verified(clone: Clone, output: str) -> None:
    """The deliverables are there, and are what they are said to be."""
    words = [line.split()[1] for line in output.splitlines()[: 2 + len(CHECKS)]]
    assert words == ["image", "venv", *CHECKS.values()]
    assert output.splitlines()[-1] == "verified: smoke_frame.png, ppo_smoke.zip, proof/"
    for check in CHECKS.values():
        record = json.loads((clone.path / f"proof/{check}.json").read_text())
        assert record["verdict"] in ("ok", "skip"), record
    assert imageio.imread(clone.path / "smoke_frame.png").shape == (480, 480, 3)
    assert PPO.load(clone.path / "ppo_smoke.zip", device="cpu").num_timesteps == 50_000


SETUP = ["make verify", "make test"]  # the first is what .ci/run begins with, and the second what runs this


def test_readmes_commands_work(lab):
    listed = commands()
    assert [command for command in listed if command in SETUP] == SETUP
    for command in listed:
        if command not in SETUP:
            lab.ok("bash", "-c", command)


def test_readmes_training_works(lab):
    (program,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len([line for line in program.splitlines() if line]) == 3
    (lab.path / "proof").mkdir(exist_ok=True)
    (lab.path / "proof/train.py").write_text(program)
    lab.ok("docker/dev.sh", "python", "proof/train.py")
    assert PPO.load(lab.path / "proof/mine.zip", device="cpu").num_timesteps >= 2_000


@pytest.mark.slow
def test_readmes_commands_work_in_a_fresh_clone(clone):
    assert_verified(clone, clone.ok("make", "verify", ENGINE="auto").stdout)
    assert "building" not in clone.ok("make", "venv").stderr


def test_readme_is_short():
    assert len(README.splitlines()) <= 100


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_cause_is_explained_injected_and_in_the_table():
    known = set(causes.known())
    assert len(known) > 60
    assert known == pages.raised()
    assert {cause for cause, *_ in pages.injected()} == known
    assert pages.tables(pages.TROUBLESHOOTING) == [*CHECKS.values(), "output"]
    assert pages.tables(pages.PROTOCOL) == ["injected"]
    for page in (pages.PROTOCOL, pages.TROUBLESHOOTING):
        assert pages.made(page) == page.read_text(), "docker/dev.sh python tests/pages.py"


def test_explain_prints_the_row_of_a_cause(lab):
    run = lab.ok("docker/dev.sh", "proof-of-life", "explain", "render.egl.vendor-missing")
    assert run.stdout.startswith("render.egl.vendor-missing\n  cause:  ")
    assert "10_nvidia.json" in run.stdout
    assert set(lab.ok("docker/dev.sh", "proof-of-life", "explain").stdout.split()) == set(causes.known())
    unknown = lab.run("docker/dev.sh", "proof-of-life", "explain", "render.egl")
    assert (unknown.returncode, unknown.stderr.count("error: ")) == (2, 1)
    assert "render.egl.vendor-missing" in unknown.stderr


def test_the_project_speaks_of_itself_alone():
    """No address of a package index in it: pip and apt know theirs. torch's CPU index is in one place."""
    host = "|".join(["py" + "pi.org", "python" + "hosted", "deb" + ".debian"])
    run = subprocess.run(["git", "grep", "-nE", host], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout == ""
