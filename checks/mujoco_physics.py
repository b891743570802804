"""What check_mujoco asks of the Fetch environments: one function a question, each raises Failure."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import NamedTuple

import gymnasium
import mujoco
import numpy as np

from checks import fetch
from checks import mujoco_golden as golden
from checks import mujoco_model as model
from checks import mujoco_scripted as scripted
from checks.causes import Failure
from checks.output import ROOT
from checks.verdict import Evidence

PACKAGES = ("mujoco", "gymnasium", "gymnasium-robotics")  # whose versions must fit together
KEYS = {"observation", "achieved_goal", "desired_goal"}
REACH_SHAPES = {"observation": (10,), "achieved_goal": (3,), "desired_goal": (3,)}
MOVE_STEPS = 5  # steps with one action component at ±1
MOVE_MIN = 0.05  # metres the gripper must then have moved along that axis; 0.09 to 0.16 measured
MOVE_STRAY = 0.02  # metres it may have moved along the others; up to 0.01 measured
GOALS = 20  # of FetchReach, that the gripper must reach, each
REACH_STEPS = 15  # within so many steps; at most 4 measured
HELD = 0.02  # metres between gripper and object once it is grasped; at most 0.006 measured
SEEDED_STEPS = 40
NAMED = 4  # differences of the model that the message names; the evidence has all


def versions() -> str:
    """Return the installed versions of PACKAGES."""
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def bounds() -> str:
    """Return what requirements.in says of PACKAGES and the lock pins: `mujoco>=3.8.1,<3.12, … ; locked: …`."""
    lines = "|".join(rf"{name}(?![\w-])" for name in PACKAGES)
    asked = re.findall(rf"^((?:{lines})[^\s#]+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    locked = re.findall(rf"^((?:{lines})[^\s\\]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    return f"requirements.in bounds {', '.join(asked) or 'none'}; locked are {', '.join(locked)}"


def wrong(cause: str, expected: str, found: str) -> Failure:
    """Return the Failure of physics that is not what was locked."""
    return Failure(cause, expected=expected, found=f"{found}; {versions()}")


def check_registry(evidence: Evidence) -> None:
    """Raise Failure unless every Fetch environment of the protocol is registered."""
    evidence["registered"] = fetch.registered()
    if missing := sorted(set(fetch.ENV_IDS) - set(evidence["registered"])):
        expected = f"the environments {', '.join(fetch.ENV_IDS)}"
        raise wrong("mujoco.not-registered", expected, f"not registered: {', '.join(missing)}")


def check_observation(env: gymnasium.Env, observation: dict[str, np.ndarray], shapes=None) -> None:
    """Raise Failure unless the observation is what the environment's observation space promises.

    `shapes`, if given, maps keys to the shapes that this environment is known to have.
    """
    found = {key: (value.shape, str(value.dtype)) for key, value in observation.items()}
    valid = (
        set(observation) == KEYS
        and all(value.dtype == np.float64 and np.isfinite(value).all() for value in observation.values())
        and env.observation_space.contains(observation)
        and (shapes is None or all(observation[key].shape == shape for key, shape in shapes.items()))
    )
    if not valid:
        expected = f"{env.spec.id} to give finite float64 arrays {shapes or sorted(KEYS)}"
        raise wrong("mujoco.bad-observation", expected, str(found))


def check_environment(env_id: str) -> tuple[list[scripted.State], model.Numbers]:
    """Let the scripted policy act in an environment; return its states and what it is made of. Raises Failure."""
    task = scripted.task_of(env_id)
    states = []
    try:
        with fetch.made(env_id) as env:
            made_of = model.of_model(env.unwrapped.model) | {"environment": model.of_environment(env)}
            for state in scripted.rollout(env, golden.SEED, golden.STEPS[task]):
                check_observation(env, state.observation, REACH_SHAPES if task == "Reach" else None)
                if not np.isfinite(state.reward):
                    raise ValueError(f"reward {state.reward}")
                states.append(state)
            counts = [
                (mujoco.mjtWarning(i).name, warning.number) for i, warning in enumerate(env.unwrapped.data.warning)
            ]
            warnings = [f"{name} ({count} times)" for name, count in counts if count]
    except (AssertionError, AttributeError, TypeError, ValueError) as reason:
        said = next(iter(str(reason).splitlines()), "no message")
        found = f"{type(reason).__name__}: {said}; these versions do not fit together ({bounds()})"
        raise wrong("mujoco.version-mismatch", f"{env_id} to be made and to run", found) from reason
    except (mujoco.FatalError, mujoco.UnexpectedError) as reason:
        said = " ".join(str(reason).split())
        raise wrong("mujoco.simulator-error", f"{env_id} to run without an error from the simulator", said) from reason
    if warnings:
        raise wrong("mujoco.warnings", f"{env_id} to run without a warning from the simulator", ", ".join(warnings))
    return states, made_of


def check_success(env_id: str, states: list[scripted.State]) -> None:
    """Raise Failure unless the scripted policy did its task: in Slide, to strike the puck."""
    task = scripted.task_of(env_id)
    if task == "PickAndPlace":
        held = [state.observation for state in states[scripted.GRASPED :]]
        apart = max(np.linalg.norm(seen["observation"][:3] - seen["achieved_goal"]) for seen in held)
        if not apart < HELD:
            expected = f"the fingers of {env_id} to hold the object within {HELD} m while they lift it"
            raise wrong("mujoco.dropped", expected, f"{apart:.3f} m between them")
    moved = float(np.linalg.norm(states[-1].observation["achieved_goal"] - states[0].observation["achieved_goal"]))
    if not (moved > scripted.STRIKE if task == "Slide" else states[-1].is_success):
        found = f"after {len(states) - 1} steps the task is not done; moved: {moved:.3f} m"
        raise wrong("mujoco.goal-missed", f"a scripted policy to do what {env_id} asks for", found)


class Seen(NamedTuple):
    """What the golden record has of an environment, as it is here."""

    rows: golden.Rows
    made_of: model.Numbers


def check_every_environment(evidence: Evidence) -> dict[str, Seen]:
    """Ask each environment in turn; return what was seen of them, by id. Raises Failure."""
    seen = {}
    for env_id in fetch.ENV_IDS:
        states, made_of = check_environment(env_id)
        check_success(env_id, states)
        seen[env_id] = Seen([golden.row(state) for state in states], made_of)
    evidence["steps"] = {env_id: len(its.rows) - 1 for env_id, its in seen.items()}
    return seen


def check_gripper(evidence: Evidence) -> None:
    """Push each of x, y, z both ways and see that the gripper goes there. Raises Failure."""
    evidence["moves_m"] = {}
    with fetch.made(fetch.SMOKE_ENV) as env:
        for axis, name in enumerate("xyz"):
            for sign in (1, -1):
                observation, _ = env.reset(seed=0)
                start = observation["achieved_goal"].copy()
                action = np.zeros(4, np.float32)
                action[axis] = sign
                for _ in range(MOVE_STEPS):
                    observation, *_ = env.step(action)
                move = observation["achieved_goal"] - start
                label = f"{'+' if sign > 0 else '-'}{name}"
                evidence["moves_m"][label] = move.round(6).tolist()
                stray = np.abs(np.delete(move, axis)).max()
                if move[axis] * sign < MOVE_MIN or stray > MOVE_STRAY:
                    expected = (
                        f"action {label} for {MOVE_STEPS} steps to move the gripper ≥ {MOVE_MIN} m there, "
                        f"≤ {MOVE_STRAY} m elsewhere"
                    )
                    raise wrong("mujoco.disobeys", expected, f"a move of {move.round(4).tolist()} m")


def check_goals(evidence: Evidence) -> None:
    """Raise Failure unless a proportional controller brings the gripper to each of GOALS goals."""
    evidence["steps_to_goal"] = []
    with fetch.made("FetchReach-v4") as env:
        for seed in range(GOALS):
            states = scripted.rollout(env, seed, REACH_STEPS)
            steps = next((step for step, state in enumerate(states) if state.is_success), None)
            evidence["steps_to_goal"].append(steps)
            if steps is None:
                expected = f"a proportional controller to reach the goal of seed {seed} in {REACH_STEPS} steps"
                raise wrong("mujoco.goal-missed", expected, "it did not")


def trajectory(env: gymnasium.Env, seed: int) -> np.ndarray:
    """Reset an environment; return what FetchPickAndPlace shows over seeded random steps: (SEEDED_STEPS + 1, 31)."""
    observation, _ = env.reset(seed=seed)
    rows = [np.concatenate([observation[key] for key in sorted(KEYS)])]
    for action in np.random.default_rng(seed).uniform(-1, 1, (SEEDED_STEPS, 4)).astype(np.float32):
        observation, *_ = env.step(action)
        rows.append(np.concatenate([observation[key] for key in sorted(KEYS)]))
    return np.array(rows)


def trajectories(*seeds: int) -> list[np.ndarray]:
    """Return the trajectories of one environment that is made for them, one after the other."""
    with fetch.made("FetchPickAndPlace-v4") as env:
        return [trajectory(env, seed) for seed in seeds]


def check_determinism(evidence: Evidence) -> None:
    """Raise Failure unless one seed gives one trajectory, in a used environment too, and another seed another start."""
    (first,), (other, again) = trajectories(7), trajectories(8, 7)
    difference = np.abs(first - again).max(axis=1)
    evidence["same_seed_difference"] = float(difference.max())
    if difference.any():
        found = f"a difference of {difference.max():.1e} from step {int((difference > 0).argmax())} on"
        if np.array_equal(first, *trajectories(7)):
            expected = "a reset to give an environment that was used the trajectory of a new one"
            raise wrong("mujoco.reset", expected, found)
        raise Failure(
            "mujoco.not-deterministic",
            expected="the same seed to give the same trajectory, to the last bit",
            found=found,
        )
    if np.array_equal(first[0], other[0]):
        raise wrong("mujoco.seed-ignored", "another seed to give another start", "the same one")


def check_model(seen: dict[str, Seen], recorded: dict, evidence: Evidence) -> None:
    """Raise Failure unless every environment is made of the numbers in the golden record."""
    found = {env_id: model.differences(its.made_of, golden.made_of(recorded, env_id)) for env_id, its in seen.items()}
    evidence["model"] = found = {env_id: said for env_id, said in found.items() if said}
    if found:
        every = list(dict.fromkeys(said for its in found.values() for said in its))
        more = f", and {len(every) - NAMED} more" if len(every) > NAMED else ""
        raise wrong(
            "mujoco.model",
            f"the locked numbers, which are those of mujoco {recorded['mujoco']}",
            f"in {', '.join(found)}: {'; '.join(every[:NAMED])}{more}",
        )


def check_golden(seen: dict[str, Seen], recorded: dict, evidence: Evidence) -> float:
    """Compare with the golden record; return the largest difference in metres. Raises Failure."""
    found = {
        env_id: golden.difference(env_id, its.rows, golden.rows_of(recorded, env_id)) for env_id, its in seen.items()
    }
    evidence["golden"] = {env_id: one._asdict() for env_id, one in found.items()}
    worst = max(found.values(), key=lambda one: (one.first_over is not None, one.metres))
    if worst.first_over is not None:
        raise wrong(
            "mujoco.physics",
            f"the locked physics, which is that of mujoco {recorded['mujoco']}",
            f"physics differs from the locked physics by {worst}, and more than it may from step {worst.first_over} on",
        )
    return worst.metres


def ask(evidence: Evidence) -> tuple[str, ...]:
    """Ask all questions; return the words of the verdict's line. Raises Failure."""
    evidence["versions"] = versions()
    evidence["mujoco"] = mujoco.mj_versionString()
    check_registry(evidence)
    seen = check_every_environment(evidence)
    check_gripper(evidence)
    check_goals(evidence)
    check_determinism(evidence)
    recorded = golden.load()  # last: what else is wrong says more than that it differs
    check_model(seen, recorded, evidence)
    metres = check_golden(seen, recorded, evidence)
    return (
        f"mujoco {evidence['mujoco']}",
        f"{len(seen)} Fetch environments",
        f"the locked physics to {metres:.0e} m",
        f"{GOALS} goals reached",
        "same seed, same trajectory",
    )
