"""The numbers that a Fetch environment is made of, by name: those of its compiled model, and its own constants.

A trajectory does not show them all: the mass of a table that nobody moves, or the damping of a head that looks nowhere,
moves the gripper less than another processor does. Of a model they are what its XML says, compiled; not what the
compiler derives from meshes, which differs from processor to processor, even in shape.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np

Numbers = dict[str, dict[str, Any]]  # by element, such as `body table0`, and by name, such as `mass`
DIGITS = 9  # significant ones
RELATIVE = 1e-6  # to the largest number of a vector: the largest difference that is none
ABSOLUTE = 1e-9  # where that is 0

# The arrays of mjModel by their prefix: what an element of that kind is made of.
ARRAYS = {
    "body": "parentid pos quat ipos iquat mass inertia gravcomp margin",
    "jnt": "type bodyid pos axis limited range actfrclimited actfrcrange stiffness stiffnesspoly margin solref solimp",
    "dof": "armature damping dampingpoly frictionloss solref solimp",
    "geom": "type bodyid contype conaffinity condim priority friction margin gap solmix solref solimp fluid adhesion "
    "surfacevel pos quat size",
    "site": "bodyid pos quat",
    "eq": "type objtype obj1id obj2id active0 data solref solimp",
    "actuator": "trntype trnid dyntype dynprm gaintype gainprm biastype biasprm gear ctrllimited ctrlrange "
    "forcelimited forcerange",
    "exclude": "signature",
}
DERIVED = ("pos", "quat", "size")  # of a geom that is a mesh
OPTIONS = (
    "timestep gravity wind magnetic density viscosity impratio integrator cone jacobian solver iterations tolerance "
    "ls_iterations ls_tolerance noslip_iterations noslip_tolerance ccd_iterations ccd_tolerance disableflags "
    "enableflags disableactuator o_margin o_solref o_solimp o_friction"
)
# What an environment holds and is no constant: where its files are, how it is drawn, and what the simulation gave.
NOT_CONSTANT = {"fullpath", "width", "height", "render_mode", "height_offset", "goal"}


def rounded(value: Any) -> Any:
    """Return a number to DIGITS, or an array as a list of such."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list):
        return [rounded(number) for number in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def of_model(model: mujoco.MjModel) -> Numbers:
    """Return the numbers of a compiled model, but for zeros: so an array that an older mujoco lacks is none."""
    bodies = [model.body(index).name for index in range(model.nbody)]
    joints = [model.joint(index).name for index in range(model.njnt)]
    names = {
        "body": bodies,
        "jnt": joints,
        "dof": [f"{dof - model.jnt_dofadr[joint]} of {joints[joint]}" for dof, joint in enumerate(model.dof_jntid)],
        "geom": [f"{geom} of {bodies[body]}" for geom, body in enumerate(model.geom_bodyid)],
        "site": [model.site(index).name for index in range(model.nsite)],
        "actuator": [model.actuator(index).name for index in range(model.nu)],
    }
    numbers = {"opt": {name: rounded(getattr(model.opt, name, 0)) for name in OPTIONS.split()}}
    for kind, fields in ARRAYS.items():
        arrays = {name: getattr(model, f"{kind}_{name}", None) for name in fields.split()}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        for index in range(len(next(iter(arrays.values())))):
            is_mesh = kind == "geom" and model.geom_type[index] == mujoco.mjtGeom.mjGEOM_MESH
            numbers[f"{kind} {names[kind][index] if kind in names else index}"] = {
                name: rounded(array[index])
                for name, array in arrays.items()
                if array[index].any() and not (is_mesh and name in DERIVED)
            }
    return numbers


def of_environment(env: gymnasium.Env) -> dict[str, Any]:
    """Return the constants of an environment: what its class was given, its spaces, and its episodes' length."""
    held = {
        name: rounded(value)
        for name, value in vars(env.unwrapped).items()
        if not name.startswith(("_", "initial_")) and name not in NOT_CONSTANT
        if isinstance(value, bool | int | float | str | np.ndarray)
    }
    spaces = {name: str(getattr(env, name)) for name in ("action_space", "observation_space")}
    return held | spaces | {"max_episode_steps": env.spec.max_episode_steps}


def same(found: Any, recorded: Any) -> bool:
    """Say whether a number, a vector or a word is the recorded one."""
    shapes = {np.shape(found), np.shape(recorded)} - {()}  # a number is a vector of that number alone
    if len(shapes) > 1 or not all(isinstance(value, bool | int | float | list) for value in (found, recorded)):
        return found == recorded
    off = np.abs(np.subtract(found, recorded, dtype=float))
    return bool((off <= (RELATIVE * np.abs(recorded).max() or ABSOLUTE)).all())  # NaN is not


def differences(found: Numbers, recorded: Numbers) -> list[str]:
    """Return what differs, each in words: `damping of dof 0 of robot0:head_tilt_joint is 2000.0, not 1000.0`."""
    said = []
    for element in recorded | found:
        if element not in found or element not in recorded:
            said.append(f"{element} {'is missing' if element in recorded else 'is new'}")
            continue
        for name in recorded[element] | found[element]:
            now, then = (numbers[element].get(name, 0) for numbers in (found, recorded))
            if not same(now, then):
                said.append(f"{name} of {element} is {now}, not {then}")
    return said


def shared(by_task: dict[str, Numbers]) -> dict[str, Numbers]:
    """Return the numbers of several tasks, each element once: by the names of the tasks in which it is the same."""
    holders: dict[str, list[tuple[dict, list[str]]]] = {}
    for task, numbers in by_task.items():
        for element, values in numbers.items():
            for known, tasks in holders.setdefault(element, []):
                if known == values:
                    tasks.append(task)
                    break
            else:
                holders[element].append((values, [task]))
    once: dict[str, Numbers] = {}
    for element, groups in holders.items():
        for values, tasks in groups:
            once.setdefault(" ".join(tasks), {})[element] = values
    return once


def of_task(once: dict[str, Numbers], task: str) -> Numbers:
    """Return the numbers of one task from what `shared` gave."""
    mine = (numbers for tasks, numbers in once.items() if task in tasks.split())
    return {element: values for numbers in mine for element, values in numbers.items()}
