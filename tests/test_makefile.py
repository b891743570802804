"""The Makefile is the architecture: the chain, its order, its help."""

from __future__ import annotations

import re

from conftest import ROOT

from checks import CHECKS

CARD = ["image", "shell", "venv", "check-gpu", "check-mujoco", "check-render", "check-train", "verify", "lock"]
MAKEFILE = (ROOT / "Makefile").read_text()
CHAIN = ["image", "venv", *CHECKS.values()]
SETTINGS = re.findall(r"^##  ([A-Z_]+) ", MAKEFILE, re.MULTILINE)


def test_chain_has_the_checks_in_their_order():
    assert re.findall(r"^check-(\w+):", MAKEFILE, re.MULTILINE) == list(CHECKS.values())


def verdicts(output: str) -> list[str]:
    """The names in the verdict lines, in order."""
    return re.findall(r"^(?:ok|skip|degraded) +(\w+)", output, re.MULTILINE)


def test_help_is_the_default_and_names_every_verb_and_setting(clone):
    run = clone.ok("make")
    assert run.stdout == clone.ok("make", "help").stdout
    targets = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
    assert set(CARD) <= set(targets)
    for name in [*targets, *SETTINGS]:
        assert re.search(rf"^  {name} +\S", run.stdout, re.MULTILINE), name
    assert not clone.venv.exists()


def test_every_setting_is_documented():
    documented = (ROOT / "docs/variables.md").read_text()
    assert len(SETTINGS) > 10
    for name in SETTINGS:
        assert f"| `{name}` |" in documented


def test_every_target_is_phony_and_says_so_above():
    for target in re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE):
        assert f".PHONY: {target}\n{target}:" in MAKEFILE


def test_one_check_runs_what_it_stands_on_and_nothing_else(lab):
    assert verdicts(lab.ok("make", "check-render").stdout) == CHAIN[: CHAIN.index("render") + 1]


def test_parallel_make_keeps_the_order(lab):
    said = verdicts(lab.ok("make", "-j8", "check-mujoco", "check-gpu", "venv").stdout)
    assert said == CHAIN[: CHAIN.index("mujoco") + 1]


def test_first_failure_stops_the_chain(lab):
    run = lab.run("make", "-j8", "verify", EXPECT="gpu")
    assert run.returncode != 0
    assert verdicts(run.stdout) == ["image", "venv"]
    assert run.stderr.startswith("error: gpu: expected nvidia-smi to see a GPU\nfound: ")
    assert "verified" not in run.stdout


def test_clean_removes_what_the_lab_made_and_nothing_else(clone):
    before = sorted(path for path in clone.path.rglob("*"))
    clone.ok("make", "check-render")
    (clone.path / "notes.txt").write_text("mine")
    clone.ok("make", "clean")
    (clone.path / "notes.txt").unlink()
    left = [path for path in clone.path.rglob("*") if "__pycache__" not in path.parts]
    assert sorted(left) == before


def test_make_test_runs_the_tests_whatever_the_users_pytest_options(clone):
    said = clone.ok("make", "test", "LAB=@env; :", PYTEST_ADDOPTS="--collect-only").stdout
    assert "ENGINE=local\n" in said and "--collect-only" not in said
