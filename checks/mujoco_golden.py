"""The golden record: what every Fetch task is made of, and what happens in it under the locked mujoco, step by step.

    python -m checks.mujoco_golden [--out FILE]     record the mujoco of this venv; show what that changes

check_mujoco compares with it, so that another physics is noticed although everything runs. Recorded with the
scripted policies (checks/mujoco_scripted.py), which reach, push, grasp and lift, and strike: where gripper and object
are, what is rewarded, and what counts as success.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from checks import mujoco_model as model
from checks import mujoco_scripted as scripted
from checks.output import written_by_rename

FILE = Path(__file__).with_name("mujoco_golden.json")
SEED = 1  # its goal in PickAndPlace is in the air
# A struck puck is chaotic: 1e-9 m of difference at the start are 1e-1 m after 50 steps, 7e-4 m after 30.
STEPS = {"Reach": 50, "Push": 50, "Slide": 30, "PickAndPlace": 50}
PLACES = ("gripper", "achieved_goal", "desired_goal")  # three coordinates each
QUANTITIES = (*PLACES, "reward", "is_success")
DECIMALS = 9
Rows = list[list[float]]  # (steps + 1, 11): see row()
# Largest difference that is still the same physics, in metres: docs/protocol.md says what was measured. A dense reward
# is the distance of the object from its goal; a sparse one, and success, are yes or no.
TOLERANCE = {"gripper": 1e-5, "achieved_goal": 1e-4, "desired_goal": 1e-6, "reward": 1e-4, "is_success": 1e-4}
TOLERANCE_STRUCK = 5e-3  # of the object in Slide, once the puck is struck
STRUCK = 20  # the step


class Difference(NamedTuple):
    """The largest difference of two records of an environment, in metres, and the first step over the tolerance."""

    env_id: str
    metres: float
    quantity: str
    step: int
    first_over: int | None

    def __str__(self) -> str:
        unit = " m" if self.quantity in PLACES else ""
        return f"{self.metres:.1e}{unit} in {self.quantity} at {self.env_id} step {self.step}"


def row(state: scripted.State) -> list[float]:
    """Return the record of one state: PLACES, 9 numbers in metres, the reward, and success as 0 or 1."""
    seen = state.observation
    places = [seen["observation"][:3], seen["achieved_goal"], seen["desired_goal"]]
    return np.concatenate([*places, [state.reward, state.is_success]]).round(DECIMALS).tolist()


def tolerances(task: str) -> np.ndarray:
    """Return the tolerance of every step and quantity: metres, (steps + 1, 5)."""
    table = np.tile([TOLERANCE[quantity] for quantity in QUANTITIES], (STEPS[task] + 1, 1))
    if task == "Slide":
        table[STRUCK:, [1, 3]] = TOLERANCE_STRUCK
    return table


def difference(env_id: str, rows: Rows, recorded: Rows) -> Difference:
    """Compare what happened in an environment with its record."""
    off = np.array(rows) - np.array(recorded)
    places = np.linalg.norm(off[:, :9].reshape(-1, 3, 3), axis=2)
    found = np.hstack([places, np.abs(off[:, 9:])])
    over = ~(found <= tolerances(scripted.task_of(env_id)))  # NaN, too, is over
    of_places = not over[:, 3:].any() or over[:, :3].any()  # which say more, if they are at fault
    step, quantity = np.unravel_index((places if of_places else found).argmax(), (len(off), 3 if of_places else 5))
    first_over = int(over.any(axis=1).argmax()) if over.any() else None
    return Difference(env_id, float(found[step, quantity]), QUANTITIES[quantity], int(step), first_over)


def load() -> dict:
    """Return the golden record.

    `mujoco`, the version; `tasks`, PLACES and success, and `rewards`, both by environment, step by step; `model` and
    `constants`, see checks/mujoco_model.py.
    """
    return json.loads(FILE.read_text())


def rows_of(golden: dict, env_id: str) -> Rows:
    """Return what a record has of an environment, as row() gives it; nothing where the record is of another length."""
    rows, rewards = golden["tasks"].get(scripted.task_of(env_id), []), golden.get("rewards", {}).get(env_id, [])
    if len(rows) != len(rewards) or len(rows) != STEPS[scripted.task_of(env_id)] + 1:
        return []
    return [[*places, reward, success] for (*places, success), reward in zip(rows, rewards, strict=True)]


def made_of(golden: dict, env_id: str) -> model.Numbers:
    """Return what a record says an environment is made of."""
    numbers = model.of_task(golden.get("model", {}), scripted.task_of(env_id))
    return numbers | {"environment": golden.get("constants", {}).get(env_id, {})}


def record() -> dict:
    """Return the record of this venv's mujoco."""
    import mujoco

    from checks import fetch

    tasks, rewards, models, constants = {}, {}, {}, {}
    for env_id in fetch.ENV_IDS:
        task = scripted.task_of(env_id)
        with fetch.made(env_id) as env:
            models[task] = model.of_model(env.unwrapped.model)
            constants[env_id] = model.of_environment(env)
            rows = [row(state) for state in scripted.rollout(env, SEED, STEPS[task])]
        rewards[env_id] = [reward for *_, reward, _ in rows]
        tasks[task] = [[*places, success] for *places, _, success in rows]
    return {
        "mujoco": mujoco.mj_versionString(),
        "tasks": tasks,
        "rewards": rewards,
        "constants": constants,
        "model": model.shared(models),
    }


def as_text(value: Any, depth: int = 0) -> str:
    """Return a record as JSON with one state, one constant, or one element of a model a line."""
    if depth == 3 or not (isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], list))):
        return json.dumps(value)
    named = isinstance(value, dict)
    names = [f"{json.dumps(name)}: " for name in value] if named else [""] * len(value)
    inner = [as_text(one, depth + 1) for one in (value.values() if named else value)]
    lines = ",".join(f"\n{' ' * (depth + 1)}{name}{one}" for name, one in zip(names, inner, strict=True))
    return f"{'{' if named else '['}{lines}\n{' ' * depth}{'}' if named else ']'}"


def show(old: dict, new: dict) -> None:
    """Print what a new record changes, environment by environment."""
    print(f"golden: mujoco {old['mujoco']} → {new['mujoco']}")
    for env_id in new["rewards"]:
        if not (recorded := rows_of(old, env_id)):
            print(f"  new      {env_id}, {STEPS[scripted.task_of(env_id)]} steps")
            continue
        found = difference(env_id, rows_of(new, env_id), recorded)
        print(f"  {'same   ' if found.first_over is None else 'differs'}  {found}")
        for said in model.differences(made_of(new, env_id), made_of(old, env_id)):
            print(f"           {env_id}: {said}")


def main(argv: list[str] | None = None) -> int:
    """Record, show the difference, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write (%(default)s)")
    arguments = parser.parse_args(argv)
    os.environ["MUJOCO_GL"] = "disable"
    new = record()
    if FILE.exists():
        show(load(), new)
    with written_by_rename(arguments.out) as path:
        path.write_text(as_text(new) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
