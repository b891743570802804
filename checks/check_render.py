"""Is the robot in the picture, and who drew it?

Draws FetchReach without a display, with the first of these GL backends that works, each tried in a process
of its own:

    egl          what the system's EGL offers: the GPU, or Mesa in software
    egl-mesa     EGL with Mesa forced, for machines whose GPU driver breaks EGL
    osmesa       software, without EGL

Passes when the picture is a 480 × 480 image of the robot that changes when the robot moves, and is read
back from smoke_frame.png as it was drawn. It is degraded, not ok, when a machine that has a GPU drew it in
software or on another GPU than it trains on, when the backend that the lab's shell uses (MUJOCO_GL) is
not the one that works, and when closing one renderer turns another's pictures black. EGL silently falls
back to software; GL_RENDERER tells. Of several GPUs EGL takes the first, whatever CUDA_VISIBLE_DEVICES
says: the check draws on the one that trains, and from then on all that runs in the lab does.

With another --out it is a trial, and its evidence render-trial.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from subprocess import TimeoutExpired

import imageio.v3 as imageio
import numpy as np

from checks import evidence as kept
from checks import outside, render_devices, render_errors
from checks.arguments import output_file, parser
from checks.causes import Failure, Finding
from checks.expectation import expected
from checks.output import ROOT, product, shown, written_by_rename
from checks.verdict import Evidence, Verdict, conduct

SHAPE = (480, 480, 3)
MIN_STD = 10.0  # of the pixel values 0 to 255; 52.4 measured, 0 for a blank picture
MIN_ROBOT_PIXELS = 10_000  # of 230,400; 21,011 measured
MIN_CHANGED_PIXELS = 1_000  # between two poses; 17,176 measured
PROBE_TIMEOUT = 180  # seconds
MESA_VENDOR_FILE = "/usr/share/glvnd/egl_vendor.d/50_mesa.json"


@dataclass(frozen=True)
class Backend:
    """A way to draw: its name here, its MUJOCO_GL, and what else it needs in the environment."""

    name: str
    mujoco_gl: str
    environment: dict[str, str] = field(default_factory=dict)


BACKENDS = (
    Backend("egl", "egl"),
    Backend("egl-mesa", "egl", {"__EGL_VENDOR_LIBRARY_FILENAMES": MESA_VENDOR_FILE}),
    Backend("osmesa", "osmesa"),
)


def candidates() -> list[Backend]:
    """Return the backends to try, which are those from the one that MUJOCO_GL names on. Raises Failure."""
    chosen = os.environ.get("MUJOCO_GL") or "egl"
    platform = os.environ.get("PYOPENGL_PLATFORM") or chosen
    if chosen not in ("egl", "osmesa") or platform != chosen:
        raise Failure(
            "render.variable",
            expected="MUJOCO_GL to be egl or osmesa, the backends that need no display, and PYOPENGL_PLATFORM the same",
            found=f"MUJOCO_GL={chosen} PYOPENGL_PLATFORM={platform}",
        )
    return [backend for backend in BACKENDS if chosen == "egl" or backend.mujoco_gl == chosen]


def own_device() -> dict[str, str]:
    """Return the MUJOCO_EGL_DEVICE_ID of the GPU that trains, where EGL would take another. A user's own stays."""
    asked = os.environ.get("MUJOCO_EGL_DEVICE_ID")
    if expected() == "cpu" or asked != os.environ.get("LAB_EGL_DEVICE_ID"):
        return {}
    os.environ.pop("MUJOCO_EGL_DEVICE_ID", None)  # docker/variables.sh's, of an earlier check
    number = render_devices.first_for_cuda()
    return {"MUJOCO_EGL_DEVICE_ID": str(number)} if number else {}


def probe(backend: Backend, frame: Path) -> dict | Finding:
    """Draw with a backend in a process of its own; return what it measured, or why it cannot be used."""
    environment = os.environ | backend.environment
    environment |= {"MUJOCO_GL": backend.mujoco_gl, "PYOPENGL_PLATFORM": backend.mujoco_gl}

    def unusable(cause: str, found: str) -> Finding:
        return Finding(cause, f"{backend.name} to draw", found)

    try:
        command = [sys.executable, "-m", "checks.render_probe", str(frame)]
        run = outside.run(command, PROBE_TIMEOUT, env=environment, cwd=ROOT)
    except TimeoutExpired:
        return unusable("render.hangs", f"no picture in {PROBE_TIMEOUT} s")
    if run.returncode < 0:
        return unusable("render.crashed", f"the driver crashed ({signal.Signals(-run.returncode).name})")
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if line.strip()]
        return render_errors.why_not(backend.name, lines[-1].strip() if lines else f"status {run.returncode}")
    measured = json.loads(run.stdout.splitlines()[-1])
    if tuple(measured["shape"]) != SHAPE:
        return unusable("render.size", f"a picture of shape {measured['shape']}, not {list(SHAPE)}")
    if not measured["std"] >= MIN_STD:
        return unusable("render.blank", f"a blank picture (standard deviation {measured['std']:.1f} of 255)")
    if measured["robot_pixels"] < MIN_ROBOT_PIXELS:
        return unusable("render.no-robot", f"no robot in the picture ({measured['robot_pixels']} pixels of it)")
    if measured["pixels_changed_by_motion"] < MIN_CHANGED_PIXELS:
        found = f"a frozen picture ({measured['pixels_changed_by_motion']} pixels changed when the robot moved)"
        return unusable("render.frozen", found)
    return measured


def shortcoming(backend: Backend, renderer: str, device: dict, failures: dict[str, Finding]) -> Finding | None:
    """Say why this picture, though right, is not the one this machine should draw."""
    on_gpu = expected() == "cpu" or "NVIDIA" in renderer
    if expected() == "gpu" and (device["cuda"] or (device["cuda"] is None and device["uuid"])):
        return render_errors.other_gpu(device["uuid"])
    if not on_gpu and (finding := render_errors.why_not_nvidia(f"{renderer} did")):
        return finding
    if failures:
        first = next(iter(failures.values()))
        variables = {"MUJOCO_GL": backend.mujoco_gl, "PYOPENGL_PLATFORM": backend.mujoco_gl} | backend.environment
        settings = " ".join(f"{name}={value}" for name, value in variables.items())
        found = f"only {backend.name} does ({because(failures)})"
        return replace(first, found=found, fix=f"{first.fix}; or, to draw as it is: export {settings}")
    if not on_gpu:
        unknown = f"{renderer} did, and nothing that this check knows of is missing"
        return Finding("render.software-on-gpu", render_errors.NVIDIA_DRAWS, unknown)
    return None


def because(failures: dict[str, Finding]) -> str:
    """Return what was wrong with each backend that did not draw."""
    return "; ".join(f"{name}: {finding.found}" for name, finding in failures.items())


def question(arguments: argparse.Namespace, evidence: Evidence) -> Verdict:
    """Find the backend that draws, judge its picture, keep it."""
    failures: dict[str, Finding] = {}
    # First, so that an output that cannot be written fails before anything is drawn.
    with written_by_rename(arguments.out) as picture, tempfile.TemporaryDirectory() as folder:
        for backend in candidates():
            if backend.name == "egl":
                backend = replace(backend, environment=own_device())
            path = Path(folder) / f"{backend.name}.npy"
            measured = probe(backend, path)
            if isinstance(measured, dict):
                break
            failures[backend.name] = measured
            evidence.setdefault("failed", {})[backend.name] = asdict(measured)
        else:
            nvidia = render_errors.why_not_nvidia("nothing draws") if expected() == "gpu" else None
            first = nvidia or next(iter(failures.values()))
            wanted = "a GL backend that draws without a display"
            raise Failure(
                first.cause, expected=wanted, found=because({"nvidia": nvidia} if nvidia else failures), fix=first.fix
            )
        frame = np.load(path)
        imageio.imwrite(picture, frame, extension=".png")
        if not np.array_equal(imageio.imread(picture, extension=".png"), frame):
            raise Failure(
                "render.file-differs",
                expected="the picture file to hold what was drawn",
                found=f"{arguments.out.name}, read back, differs",
                fix=f"df -h {arguments.out.parent}",
            )
        evidence |= measured | {"backend": backend.name, "out": shown(arguments.out), "sha256": kept.digest(picture)}
    finding = shortcoming(backend, measured["renderer"], measured["device"], failures)
    finding = finding or render_errors.second_black(backend.name, measured["pixels_lost"])
    return Verdict(
        "degraded" if finding else "ok",
        (
            backend.name,
            measured["renderer"],
            measured["vendor"],
            f"{frame.shape[1]}×{frame.shape[0]}",
            f"{measured['ms_per_frame']:.1f} ms/frame",
            arguments.out.name,
        ),
        finding,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the check."""
    arguments = parser("render", __doc__)
    arguments.add_argument("--out", type=output_file(".png"), help="the picture (smoke_frame.png)")
    chosen = arguments.parse_args(argv)
    trial = chosen.out not in (None, product("render"))
    chosen.out = chosen.out or product("render")
    return conduct("render", question, chosen, trial)


if __name__ == "__main__":
    sys.exit(main())
