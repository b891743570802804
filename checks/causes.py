"""What can be wrong: the diagnoses that a check makes, and how one is raised.

Each is in CAUSES, in the *_errors.py of its check or in output.py: a line with its id and what it means, and below,
indented, the fix of all lines above it. `…` is what the check fills in. docs/troubleshooting.md is made from there.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import NamedTuple

from checks import CHECKS

MODULES = [*(f"checks.{check}_errors" for check in CHECKS.values()), "checks.output"]


class Cause(NamedTuple):
    """What a diagnosis means, in Markdown, and the fix as it is printed."""

    meaning: str
    fix: str


def parse(text: str) -> dict[str, Cause]:
    """Return the causes in a module's CAUSES, by id."""
    causes, same_fix = {}, []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            causes |= {id: Cause(meaning, line.strip()) for id, meaning in same_fix}
            same_fix = []
        else:
            same_fix.append(line.split(" ", 1))
    return causes


@functools.cache
def known() -> dict[str, Cause]:
    """Return all of them by id, in the order of the chain."""
    return {id: cause for name in MODULES for id, cause in parse(importlib.import_module(name).CAUSES).items()}


@dataclass
class Finding:
    """What is wrong: its id, what was expected, what was found, and the fix, where it is not the cause's own."""

    cause: str
    expected: str
    found: str
    fix: str = ""

    def __post_init__(self):
        self.fix = self.fix or known()[self.cause].fix


class Failure(Exception):
    """The check failed, for a cause that is known."""

    def __init__(self, cause: str, *, expected: str, found: str, fix: str = ""):
        super().__init__(found)
        self.finding = Finding(cause, expected, found, fix)
