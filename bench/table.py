"""From a record to the table: medians of the turns, ratios first, and which targets hold."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Turn = dict[str, Any]
LEARNING_NOISE = 0.25  # return; 6 % of the 4.3 that training gains, and less than seeds differ by
CORES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Line:
    """One line of the table: what it is, its value in a turn, and within what it should be."""

    question: str
    text: str
    value: Callable[[Turn], float]
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        """The target in words, or nothing."""
        if self.at_most is not None:
            return f"≤ {shown(self.at_most, self.unit)}"
        return "" if self.at_least is None else f"≥ {shown(self.at_least, self.unit)}"

    def judge(self, median: float) -> str:
        """Say whether a median meets the target; nothing where there is none."""
        if self.at_most is not None:
            return "holds" if median <= self.at_most else "does not hold"
        if self.at_least is not None:
            return "holds" if median >= self.at_least else "does not hold"
        return ""


def over(above: str, below: str) -> Callable[[Turn], float]:
    """Return the function that divides one figure of a turn by another of the same turn."""
    return lambda turn: turn[above] / turn[below]


def figure(name: str) -> Callable[[Turn], float]:
    """Return the function that takes a figure from a turn."""
    return lambda turn: turn[name]


def ratios(expect: str) -> list[Line]:
    """Return the lines that compare, which mean the same on every machine; `expect` is gpu or cpu."""
    lines = [
        Line(
            "a",
            "check-train ÷ the plain recipe, wall time",
            over("lab_s", "plain_s"),
            at_most=0.35 if expect == "gpu" else 0.5,
        ),
        Line("a", "check-train ÷ the plain recipe, steps/s", over("lab_steps_per_s", "plain_steps_per_s")),
        Line(
            "a",
            "return of check-train's policy − the plain recipe's",
            lambda turn: turn["lab_return"] - turn["plain_return"],
            at_least=-LEARNING_NOISE,
        ),
    ]
    for cores in CORES:
        lines.append(Line("b", f"lab ÷ EnvPool, {of(cores)}", over(f"lab_{cores}", f"envpool_{cores}"), at_least=0.65))
    for fewer, cores in itertools.pairwise(CORES):
        lines.append(Line("b", f"lab, {of(cores)} ÷ {of(fewer)}", over(f"lab_{cores}", f"lab_{fewer}"), at_least=1.25))
    for cores in CORES:
        lines.append(Line("b", f"lab ÷ the physics alone, {of(cores)}", over(f"lab_{cores}", f"physics_{cores}")))
    lines.append(Line("c", "rebuilding the venv ÷ pip", over("lab_s", "pip_s"), at_most=0.2))
    lines.append(Line("f", "make verify ÷ the plain recipe's four steps", over("verify_s", "plain_s"), at_most=0.6))
    return lines


def figures() -> list[Line]:
    """Return the lines of absolute figures, which are the machine's."""
    lines = [
        Line("a", f"{who}, {what}", figure(f"{name}_{key}"), unit)
        for key, what, unit in (
            ("s", "wall time", "s"),
            ("steps_per_s", "training", "steps/s"),
            ("return", "return after training", ""),
        )
        for name, who in (("lab", "check-train"), ("plain", "the plain recipe"))
    ]
    for name, who in (
        ("lab", "lab"),
        ("envpool", "EnvPool"),
        ("physics", "the physics alone"),
        ("dummy", "DummyVecEnv"),
    ):
        lines += [Line("b", f"{who}, {of(cores)}", figure(f"{name}_{cores}"), "steps/s") for cores in CORES]
    lines += [
        Line("c", "rebuilding the venv", figure("lab_s"), "s"),
        Line("c", "pip install", figure("pip_s"), "s"),
        Line("d", "make help", figure("help_ms"), "ms", at_most=50),
        Line("d", "make venv, current", figure("venv_ms"), "ms", at_most=150),
        Line("d", "make image, current", figure("image_ms"), "ms", at_most=200),
    ]
    lines += [Line("e", backend, figure(f"{backend}_ms"), "ms/frame") for backend in ("egl", "egl-mesa", "osmesa")]
    lines += [
        Line("f", "make verify", figure("verify_s"), "s"),
        Line("f", "the plain recipe's four steps", figure("plain_s"), "s"),
    ]
    return lines


def of(cores: int) -> str:
    """Return the number of cores in words."""
    return f"{cores} core{'s' if cores > 1 else ''}"


def shown(value: float, unit: str) -> str:
    """Return a number as the table shows it."""
    digits = 0 if abs(value) >= 100 or unit == "steps/s" else 1 if abs(value) >= 10 or unit == "ms" else 2
    return f"{value:,.{digits}f}{' ' if unit else ''}{unit}"


def row(line: Line, turns: list[Turn]) -> list[str] | None:
    """Return the cells of a line, or None where no turn has its figures."""
    values = []
    for turn in turns:
        try:
            values.append(line.value(turn))
        except KeyError:
            continue
    if not values:
        return None
    median = statistics.median(values)
    spread = f"{shown(min(values), '')} to {shown(max(values), '')}" if len(values) > 1 else ""
    return [
        line.question,
        line.text,
        shown(median, line.unit),
        spread,
        str(len(values)),
        line.target,
        line.judge(median),
    ]


def absent(turns: list[Turn]) -> list[tuple[str, str]]:
    """Return what the last turn could not measure, and why."""
    return [
        (name.removesuffix("_absent"), why)
        for turn in turns[-1:]
        for name, why in turn.items()
        if name.endswith("_absent")
    ]


def table(record: dict) -> str:
    """Return the record as text that is also Markdown: ratios, figures, what was not measured, the machine."""
    machine, questions = record["machine"], record["questions"]
    parts = []
    for title, lines in (("ratio", ratios(machine["expect"])), ("figure", figures())):
        rows = [row(line, questions[line.question]["turns"]) for line in lines if line.question in questions]
        rows = [cells for cells in rows if cells]
        if rows:
            parts.append(aligned([["", title, "median", "from", "turns", "target", ""], *rows]))
    missing = [
        f"not measured: {question}, {name}: {why}"
        for question in sorted(questions)
        for name, why in absent(questions[question]["turns"])
    ]
    if missing:
        parts.append("\n".join(missing))
    runs = [f"{question} {entry['date']} at {entry['revision']}" for question, entry in sorted(questions.items())]
    parts.append(", ".join(f"{name} {value}" for name, value in machine.items() if value))
    parts.append("measured: " + ", ".join(runs))
    return "\n\n".join(parts)


def aligned(rows: list[list[str]]) -> str:
    """Return rows of cells as a Markdown table whose columns are aligned."""
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(f"| {' | '.join(map(str.ljust, cells, widths))} |" for cells in rows)
