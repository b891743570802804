"""Drivers that draw wrong. They are not to be had, so gymnasium's renderer stands in for one in check_render's probe.

PYTHONPATH=tests/faults/driver DRIVER=render.blank python -m checks.check_render

Python imports this file as it starts, in the probe's process, too.
"""

import os
import signal
import sys

frames = []


def crashed():
    os.kill(os.getpid(), signal.SIGSEGV)


def size():
    return frames[-1][::2]


def blank():
    return frames[-1] * 0


def frozen():
    return frames[0]


def failed():
    raise RuntimeError("gladLoadGL error")


if "checks.render_probe" in sys.orig_argv and "DRIVER" in os.environ:
    from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

    draw = MujocoRenderer.render

    def draw_wrong(self, mode):
        frames.append(draw(self, mode))
        return globals()[os.environ["DRIVER"].removeprefix("render.")]()

    MujocoRenderer.render = draw_wrong
