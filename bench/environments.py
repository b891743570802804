"""b: raw steps/s of eight environments, against EnvPool and against the physics alone, by number of cores."""

from __future__ import annotations

import json

from bench.timing import IN_LAB, LAB, Absent, CommandFailed, run

TURNS = 3
ENVPOOL = str(IN_LAB / "envpool")


def turn(number: int, measured: dict) -> dict:
    """Step each in a process of its own; figures are named `lab_2`: steps/s on two cores."""
    programs = {name: ["python"] for name in ("dummy", "lab", "physics")}
    figures = {}
    try:
        install_envpool()
        programs["envpool"] = [f"{ENVPOOL}/bin/python"]
    except Absent as reason:
        figures["envpool_absent"] = str(reason)
    for name, python in programs.items():
        _, out = run([*LAB, *python, "-m", "bench.stepping", name], f"b: {name}")
        figures |= {f"{name}_{cores}": rate for cores, rate in json.loads(out.splitlines()[-1]).items()}
    return figures


def install_envpool() -> None:
    """See that EnvPool is in a venv of its own; raises Absent with the reason where it cannot be."""
    try:
        run([*LAB, "bench/envpool.sh", ENVPOOL], "b: EnvPool's own venv")
    except CommandFailed as reason:
        last = [line for line in str(reason).splitlines() if not line.startswith(("[notice]", "WARNING"))][-1]
        raise Absent(f"EnvPool cannot be installed here: {last}") from None
