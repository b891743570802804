"""Do the Fetch environments obey?

Passes when all Fetch environments are registered, can be made and stepped, and give valid observations
without a warning from the simulator; when the gripper goes where it is told; and when the same seed gives
the same trajectory, to the last bit.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version

import numpy as np

from checks.verdict import Evidence, Failure, Verdict, conduct, parser

KEYS = {"observation", "achieved_goal", "desired_goal"}
REACH_SHAPES = {"observation": (10,), "achieved_goal": (3,), "desired_goal": (3,)}
STEPS = 20  # random steps in each environment
MOVE_STEPS = 5  # steps with one action component at ±1
MOVE_MIN = 0.05  # metres the gripper must then have moved along that axis; 0.09 to 0.16 measured
MOVE_STRAY = 0.02  # metres it may have moved along the others; up to 0.01 measured


def versions() -> str:
    """Return the three versions that must fit together."""
    return ", ".join(f"{name} {version(name)}" for name in ("mujoco", "gymnasium", "gymnasium-robotics"))


def check_registry(evidence: Evidence) -> None:
    """Raise Failure unless every Fetch environment of the protocol is registered."""
    from checks import fetch

    evidence["registered"] = fetch.registered()
    missing = sorted(set(fetch.ENV_IDS) - set(evidence["registered"]))
    if missing:
        raise Failure(
            "mujoco.not-registered",
            expected=f"the environments {', '.join(fetch.ENV_IDS)}",
            found=f"{', '.join(missing)} not registered; {versions()}",
            fix="rm -rf .venv && make venv",
        )


def check_observation(env, observation: dict[str, np.ndarray], shapes=None) -> None:
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
        raise Failure(
            "mujoco.bad-observation",
            expected=f"{env.spec.id} to give finite float64 arrays {shapes or sorted(KEYS)}",
            found=f"{found}; {versions()}",
            fix="rm -rf .venv && make venv",
        )


def check_every_environment(evidence: Evidence) -> None:
    """Make, reset and step every Fetch environment. Raises Failure."""
    from checks import fetch

    evidence["steps"] = {}
    for env_id in fetch.ENV_IDS:
        try:
            with fetch.made(env_id) as env:
                observation, _ = env.reset(seed=0)
                check_observation(env, observation, REACH_SHAPES if "Reach" in env_id else None)
                env.action_space.seed(0)
                for _ in range(STEPS):
                    observation, reward, *_ = env.step(env.action_space.sample())
                    check_observation(env, observation)
                    if not np.isfinite(reward):
                        raise ValueError(f"reward {reward}")
                warnings = sum(int(warning.number) for warning in env.unwrapped.data.warning)
        except (AssertionError, AttributeError, TypeError, ValueError) as reason:
            raise Failure(
                "mujoco.version-mismatch",
                expected=f"{env_id} to run {STEPS} steps",
                found=f"{type(reason).__name__}: {str(reason).splitlines()[0] if str(reason) else 'no message'}; "
                f"these versions do not fit together: {versions()}",
                fix="git checkout requirements.in requirements.txt && make venv "
                "(Fetch needs mujoco<3.12, as requirements.in says)",
            ) from reason
        if warnings:
            raise Failure(
                "mujoco.warnings",
                expected=f"{env_id} to run without a warning from the simulator",
                found=f"{warnings} warnings in {STEPS} steps; {versions()}",
                fix="rm -rf .venv && make venv",
            )
        evidence["steps"][env_id] = STEPS


def check_gripper(evidence: Evidence) -> None:
    """Push each of x, y, z both ways and see that the gripper goes there. Raises Failure."""
    from checks import fetch

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
                    raise Failure(
                        "mujoco.disobeys",
                        expected=f"action {label} for {MOVE_STEPS} steps to move the gripper ≥ {MOVE_MIN} m there, "
                        f"≤ {MOVE_STRAY} m elsewhere",
                        found=f"a move of {move.round(4).tolist()} m; {versions()}",
                        fix="rm -rf .venv && make venv",
                    )


def trajectory(seed: int) -> np.ndarray:
    """Return what FetchPickAndPlace shows over 2 × STEPS seeded random steps: float64, (2·STEPS + 1, 31)."""
    from checks import fetch

    with fetch.made("FetchPickAndPlace-v4") as env:
        observation, _ = env.reset(seed=seed)
        rows = [np.concatenate([observation[key] for key in sorted(KEYS)])]
        actions = np.random.default_rng(seed).uniform(-1, 1, (2 * STEPS, 4)).astype(np.float32)
        for action in actions:
            observation, *_ = env.step(action)
            rows.append(np.concatenate([observation[key] for key in sorted(KEYS)]))
    return np.array(rows)


def check_determinism(evidence: Evidence) -> None:
    """Raise Failure unless one seed gives one trajectory, and another seed another."""
    first, again, other = trajectory(7), trajectory(7), trajectory(8)
    difference = np.abs(first - again).max(axis=1)
    evidence["same_seed_difference"] = float(difference.max())
    if difference.any():
        raise Failure(
            "mujoco.not-deterministic",
            expected="the same seed to give the same trajectory, to the last bit",
            found=f"a difference of {difference.max():.1e} from step {int(difference.argmax())} on",
            fix="test this machine's memory and processor; then: rm -rf .venv && make venv",
        )
    if np.array_equal(first, other):
        raise Failure(
            "mujoco.seed-ignored",
            expected="another seed to give another trajectory",
            found=f"the same one; {versions()}",
            fix="rm -rf .venv && make venv",
        )


def question(arguments: argparse.Namespace, evidence: Evidence) -> Verdict:
    """Ask for the environments, their observations, their obedience and their determinism."""
    os.environ["MUJOCO_GL"] = "disable"  # physics needs no GL, whatever is wrong with it
    try:
        import mujoco

        from checks import fetch
    except (ImportError, OSError) as reason:
        raise Failure(
            "mujoco.import",
            expected="to import mujoco, gymnasium and gymnasium_robotics",
            found=str(reason),
            fix="rm -rf .venv && make venv; where a system library is missing: bash env/system.sh",
        ) from reason
    evidence["versions"] = versions()
    evidence["mujoco"] = mujoco.mj_versionString()
    check_registry(evidence)
    check_every_environment(evidence)
    check_gripper(evidence)
    check_determinism(evidence)
    return Verdict(
        "ok",
        (
            f"mujoco {evidence['mujoco']}",
            f"{len(fetch.ENV_IDS)} Fetch environments",
            "the gripper obeys",
            "same seed, same trajectory",
        ),
    )


def main(argv: list[str] | None = None) -> int:
    """Run the check."""
    return conduct("mujoco", question, parser("mujoco", __doc__).parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
