"""The golden record: where gripper and object are in every Fetch task under the locked mujoco, step by step.

    python -m checks.mujoco_golden [--out FILE]     record the mujoco of this venv; show what that changes

check_mujoco compares with it, so that another physics is noticed although everything runs. Recorded with the
scripted policies (checks/mujoco_scripted.py), which reach, push, grasp and lift, and strike.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from checks import mujoco_scripted as scripted
from checks.output import written_by_rename

FILE = Path(__file__).with_name("mujoco_golden.json")
SEED = 1  # its goal in PickAndPlace is in the air
# A struck puck is chaotic: 1e-9 m of difference at the start are 1e-1 m after 50 steps, 7e-4 m after 30.
STEPS = {"Reach": 50, "Push": 50, "Slide": 30, "PickAndPlace": 50}
QUANTITIES = ("gripper", "achieved_goal", "desired_goal")
DECIMALS = 9
Rows = list[list[float]]  # (steps + 1, 9): see row()
# Largest difference in metres that is still the same physics: docs/protocol.md says what was measured.
TOLERANCE = {"gripper": 1e-5, "achieved_goal": 1e-4, "desired_goal": 1e-6}
TOLERANCE_STRUCK = 5e-3  # of achieved_goal in Slide, once the puck is struck
STRUCK = 20  # the step


class Difference(NamedTuple):
    """The largest difference of two records of a task, in metres, and the first step over the tolerance, if any."""

    env_id: str
    metres: float
    quantity: str
    step: int
    first_over: int | None

    def __str__(self) -> str:
        return f"{self.metres:.1e} m in {self.quantity} at {self.env_id} step {self.step}"


def row(observation: dict[str, np.ndarray]) -> list[float]:
    """Return the record of one state: gripper, achieved_goal and desired_goal, 9 numbers in metres."""
    values = np.concatenate([observation["observation"][:3], observation["achieved_goal"], observation["desired_goal"]])
    return values.round(DECIMALS).tolist()


def tolerances(task: str) -> np.ndarray:
    """Return the tolerance of every step and quantity: metres, (steps + 1, 3)."""
    table = np.tile([TOLERANCE[quantity] for quantity in QUANTITIES], (STEPS[task] + 1, 1))
    if task == "Slide":
        table[STRUCK:, 1] = TOLERANCE_STRUCK
    return table


def difference(env_id: str, rows: Rows, recorded: Rows) -> Difference:
    """Compare what an environment did with the record of its task."""
    metres = np.linalg.norm((np.array(rows) - np.array(recorded)).reshape(-1, 3, 3), axis=2)
    over = ~(metres <= tolerances(scripted.task_of(env_id))).all(axis=1)  # NaN, too, is over
    step, quantity = np.unravel_index(metres.argmax(), metres.shape)
    first_over = int(over.argmax()) if over.any() else None
    return Difference(env_id, float(metres[step, quantity]), QUANTITIES[quantity], int(step), first_over)


def load() -> dict:
    """Return the golden record: `mujoco`, the version, and `tasks`, rows by task."""
    return json.loads(FILE.read_text())


def record() -> dict:
    """Return the record of this venv's mujoco."""
    import mujoco

    from checks import fetch

    tasks = {}
    for task, steps in STEPS.items():
        with fetch.made(f"Fetch{task}-v4") as env:
            tasks[task] = [row(step.observation) for step in scripted.rollout(env, SEED, steps)]
    return {"mujoco": mujoco.mj_versionString(), "tasks": tasks}


def as_text(golden: dict) -> str:
    """Return a record as JSON with one state a line."""
    tasks = ",\n".join(
        f'  "{task}": [\n' + ",\n".join(f"   {json.dumps(row)}" for row in rows) + "\n  ]"
        for task, rows in golden["tasks"].items()
    )
    return f'{{\n "mujoco": "{golden["mujoco"]}",\n "tasks": {{\n{tasks}\n }}\n}}\n'


def main(argv: list[str] | None = None) -> int:
    """Record, show the difference, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write (%(default)s)")
    arguments = parser.parse_args(argv)
    os.environ["MUJOCO_GL"] = "disable"
    new = record()
    if FILE.exists():
        old = load()
        print(f"golden: mujoco {old['mujoco']} → {new['mujoco']}")
        for task, rows in new["tasks"].items():
            recorded = old["tasks"].get(task, [])
            if len(recorded) != len(rows):
                print(f"  new      Fetch{task}-v4, {STEPS[task]} steps")
                continue
            found = difference(f"Fetch{task}-v4", rows, recorded)
            word = "same   " if found.first_over is None else "differs"
            print(f"  {word}  {found}")
    with written_by_rename(arguments.out) as path:
        path.write_text(as_text(new))
    return 0


if __name__ == "__main__":
    sys.exit(main())
