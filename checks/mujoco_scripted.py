"""Scripted policies for the Fetch tasks, simple enough that only working physics lets them succeed.

Each heads for a waypoint that depends on the step and on where the object and the goal were at the start; a
proportional controller steers the gripper there. Phases change with the step and never with a measurement,
so that a difference of 1e-9 stays one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import gymnasium
import numpy as np

GAIN = 10.0  # of action for each metre to go; an action of 1 is 0.05 m
OPEN, SHUT = 1.0, -1.0
ABOVE = np.array([0, 0, 0.10])  # metres, from where the gripper comes down
BEHIND = {"Push": 0.10, "Slide": 0.12}  # metres from the object, on the side that the goal is not
GRASPED = 27  # the step at which PickAndPlace starts to lift
HALF_OBJECT = 0.055  # metres: where the gripper stops short of the goal when it pushes
STRIKE = 0.10  # metres through the puck's place


class State(NamedTuple):
    """What a rollout sees: the observation as the environment gives it; reward and success of the step before."""

    observation: dict[str, np.ndarray]
    reward: float
    is_success: bool


def task_of(env_id: str) -> str:
    """Return the task in an id such as FetchReachDense-v4: Reach."""
    return env_id.removeprefix("Fetch").partition("-")[0].removesuffix("Dense")


def waypoint(task: str, step: int, first: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Return where the gripper should be (3 coordinates, metres) and its fingers' action at a step."""
    goal, start = first["desired_goal"], first["achieved_goal"]
    if task == "Reach":
        return goal, 0.0
    if task == "PickAndPlace":
        if step < 12:
            return start + ABOVE, OPEN
        if step < 22:
            return start, OPEN
        return (start if step < GRASPED else goal), SHUT
    way = (goal - start) * (1, 1, 0)
    way /= np.linalg.norm(way)
    behind = start - BEHIND[task] * way
    if step < 12:
        return behind + ABOVE, SHUT
    if step < 20:
        return behind, SHUT
    return (goal - HALF_OBJECT * way if task == "Push" else start + STRIKE * way), SHUT


def rollout(env: gymnasium.Env, seed: int, steps: int) -> Iterator[State]:
    """Reset the environment and act for a number of steps; yields steps + 1 states."""
    task = task_of(env.spec.id)
    observation, _ = env.reset(seed=seed)
    first = {key: value.copy() for key, value in observation.items()}
    yield State(observation, 0.0, False)
    for step in range(steps):
        target, fingers = waypoint(task, step, first)
        move = np.clip(GAIN * (target - observation["observation"][:3]), -1, 1)
        observation, reward, *_, info = env.step(np.append(move, fingers).astype(np.float32))
        yield State(observation, float(reward), bool(info["is_success"]))
