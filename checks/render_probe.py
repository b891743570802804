"""Draw FetchReach with the GL backend that MUJOCO_GL names, and measure it: one probe of check_render.

    MUJOCO_GL=egl PYOPENGL_PLATFORM=egl python -m checks.render_probe frame.npy

In a process of its own, because MuJoCo binds its backend when it is imported and a bad driver may abort.
Saves the frame, uint8 (480, 480, 3), and prints what it measured as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time

import numpy as np

TIMED_FRAMES = 20
MOVE_STEPS = 10
SMALL = (120, 160)  # height and width of the pictures of two renderers


def robot_pixels(env) -> int:
    """Return the number of pixels of the frame that show the robot, by MuJoCo's segmentation rendering."""
    import mujoco

    # MuJoCo's own renderer, with the frame's camera: gymnasium 1.4.0's segmentation overflows under NumPy 2.
    model, frame = env.unwrapped.model, env.unwrapped.mujoco_renderer
    with mujoco.Renderer(model, frame.height, frame.width) as renderer:
        renderer.enable_segmentation_rendering()
        renderer.update_scene(env.unwrapped.data, frame._get_viewer("rgb_array").cam)
        ids, types = np.moveaxis(renderer.render(), -1, 0)  # each (height, width)
    robot = [geom for geom in range(model.ngeom) if model.body(model.geom_bodyid[geom]).name.startswith("robot0:")]
    return int(((types == mujoco.mjtObj.mjOBJ_GEOM) & np.isin(ids, robot)).sum())


def pixels_lost(env) -> int:
    """Return the number of pixels that a renderer loses when another is closed; on OSMesa all (mujoco issue 1186)."""
    import mujoco

    first, second = (mujoco.Renderer(env.unwrapped.model, *SMALL) for _ in range(2))

    def drawn_by(renderer: mujoco.Renderer) -> np.ndarray:
        renderer.update_scene(env.unwrapped.data)
        return renderer.render()

    drawn_by(first)
    before = drawn_by(second)
    first.close()
    after = drawn_by(second)
    second.close()
    return int((before != after).any(axis=-1).sum())


def main(path: str) -> None:
    """Draw, measure, print."""
    from checks import fetch, render_devices

    with fetch.made(fetch.SMOKE_ENV, render_mode="rgb_array") as env:
        env.reset(seed=0)
        frame = env.render()

        from OpenGL import GL  # once the context is current

        milliseconds = []
        for _ in range(TIMED_FRAMES):
            started = time.perf_counter()
            env.render()
            milliseconds.append(1e3 * (time.perf_counter() - started))
        for _ in range(MOVE_STEPS):
            env.step(np.array([1, 1, 1, 0], np.float32))
        moved = env.render()
        measured = {
            "renderer": GL.glGetString(GL.GL_RENDERER).decode(),
            "vendor": GL.glGetString(GL.GL_VENDOR).decode(),
            "version": GL.glGetString(GL.GL_VERSION).decode(),
            "device": render_devices.drawing()._asdict(),
            "shape": frame.shape,
            "std": float(frame.std()),
            "pixels_changed_by_motion": int((frame != moved).any(axis=-1).sum()),
            "ms_per_frame": statistics.median(milliseconds),
        }
        env.reset(seed=0)  # the frame's state again; last, for other renderers take over the GL context
        measured["robot_pixels"] = robot_pixels(env)
        measured["pixels_lost"] = pixels_lost(env)
    np.save(path, frame)
    print(json.dumps(measured))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as reason:  # whatever a GL driver raises; said last, and without the noise of its clean-up
        print(f"{type(reason).__name__}: {reason}", file=sys.stderr, flush=True)
        os._exit(1)
