"""check_render says who drew, and why not the one that should have."""

from __future__ import annotations

import imageio.v3 as imageio
import pytest
from conftest import Clone, in_namespace
from verdicts import LAB, assert_degraded, assert_one_clear_error, evidence, injects, remedy, with_fault

RENDER = (*LAB, "checks", "render")
VENDORS = "/usr/share/glvnd/egl_vendor.d"


def test_render_draws_the_robot(lab, tmp_path):
    out = tmp_path / "a frame.png"
    lab.ok(*RENDER, "--out", str(out))
    assert imageio.imread(out).shape == (480, 480, 3)
    record = evidence(lab, "render")
    assert record["evidence"]["robot_pixels"] > 10_000
    assert record["evidence"]["renderer"]
    assert list(tmp_path.iterdir()) == [out]


@injects("render.variable", "MUJOCO_GL=glx; PYOPENGL_PLATFORM that contradicts it", "unset MUJOCO_GL PYOPENGL_PLATFORM")
@pytest.mark.parametrize("setting", [{"MUJOCO_GL": "glx"}, {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"}])
def test_wrong_gl_variable_is_named(lab, setting):
    run = lab.run(*RENDER, **setting)
    assert_one_clear_error(run, "render", "render.variable")
    assert f"MUJOCO_GL={setting['MUJOCO_GL']}" in run.stderr
    assert mended(lab, run, **setting).startswith("ok ")


def mended(lab: Clone, run, **environment: str) -> str:
    """What the check says in a shell of the same environment in which the printed remedy was applied."""
    return lab.ok("docker/dev.sh", "bash", "-c", f"{remedy(run)}; python -m checks render", **environment).stdout


@injects("render.device-id", "MUJOCO_EGL_DEVICE_ID=7", "unset MUJOCO_EGL_DEVICE_ID")
def test_wrong_egl_device_is_named(lab):
    run = lab.run(*RENDER, MUJOCO_EGL_DEVICE_ID="7")
    assert_degraded(run, "render", "render.device-id")
    assert mended(lab, run, MUJOCO_EGL_DEVICE_ID="7").startswith("ok ")


# drivers that draw wrong: not to be had, so gymnasium's renderer stands in for one


DRIVER = """
import numpy, os, signal, time
from gymnasium.envs.mujoco import mujoco_rendering
real = mujoco_rendering.MujocoRenderer.render
frames = []
def render(self, mode):
    frames.append(real(self, mode))
    {}
mujoco_rendering.MujocoRenderer.render = render
"""


@injects("render.crashed", "a stand-in for a driver that ends the process with SIGSEGV")
@injects("render.size", "a stand-in that draws half the rows")
@injects("render.blank", "a stand-in that draws black")
@injects("render.frozen", "a stand-in that draws the first frame again and again")
@injects("render.failed", "a stand-in whose context cannot be made")
@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        ("render.crashed", "os.kill(os.getpid(), signal.SIGSEGV)"),
        ("render.size", "return frames[-1][::2]"),
        ("render.blank", "return frames[-1] * 0"),
        ("render.frozen", "return frames[0]"),
        ("render.failed", 'raise RuntimeError("gladLoadGL error")'),
    ],
)
def test_driver_that_draws_wrong(lab, tmp_path, cause, fault):
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif 'checks.render_probe' in ' '.join(sys.orig_argv):\n{indented(DRIVER.format(fault))}"
    )
    run = lab.run(".venv/bin/python", "-m", "checks.check_render", PYTHONPATH=str(tmp_path))
    assert_one_clear_error(run, "render", cause)
    assert set(evidence(lab, "render")["evidence"]["failed"]) == {"egl", "egl-mesa", "osmesa"}


def indented(program: str) -> str:
    return "".join(f"    {line}\n" for line in program.splitlines())


@injects("render.no-robot", "a bound that no picture meets")
@injects("render.hangs", "a driver that is given 10 ms")
@injects("render.file-differs", "a picture file that is read back otherwise")
@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        ("render.no-robot", "check.MIN_ROBOT_PIXELS = 480 * 480"),
        ("render.hangs", "check.PROBE_TIMEOUT = 0.01"),
        ("render.file-differs", "check.imageio.imread = lambda *a, **k: 0"),
    ],
)
def test_picture_that_is_not_what_it_should_be(lab, cause, fault):
    assert_one_clear_error(with_fault(lab, "render", fault), "render", cause)


# a machine that should have a GPU, drawing in software: each step between EGL and the GPU


def on_gpu_machine(lab: Clone, steps: list[str], **environment: str):
    """Run the check where a GPU is expected, after the first steps towards one.

    libEGL_nvidia is Mesa's EGL under that name: it loads, and draws in software, as when the driver is not reached.
    """
    mesa = "$(/sbin/ldconfig -p | sed -n 's/.*libEGL_mesa.so.0.* => //p' | head -n 1)"
    library = f"mkdir -p /tmp/lib && mount -t tmpfs tmpfs /tmp/lib && ln -s {mesa} /tmp/lib/libEGL_nvidia.so.0"
    vendors = f"cp -r {VENDORS} /tmp/lib/v; mount -t tmpfs tmpfs {VENDORS}; cp /tmp/lib/v/50_mesa.json {VENDORS}"
    mounts = "\n".join([library, vendors, *steps])
    command = in_namespace(mounts, *RENDER)
    return lab.run(*command, EXPECT="gpu", LD_LIBRARY_PATH="/tmp/lib", **environment)


@injects("render.egl.driver-without-gl", "this machine, with EXPECT=gpu")
@injects("render.diverted", "LIBGL_ALWAYS_SOFTWARE=1", "unset LIBGL_ALWAYS_SOFTWARE")
@injects("render.egl.capability-missing", "NVIDIA_DRIVER_CAPABILITIES=compute,utility, as NVIDIA's images have it")
@pytest.mark.parametrize(
    ("cause", "setting"),
    [
        ("render.egl.driver-without-gl", {}),
        ("render.diverted", {"LIBGL_ALWAYS_SOFTWARE": "1"}),
        ("render.diverted", {"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa"}),
        ("render.egl.capability-missing", {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}),
    ],
)
def test_software_on_a_gpu_machine_says_why(lab, cause, setting):
    run = lab.run(*RENDER, EXPECT="gpu", **setting)
    assert_degraded(run, "render", cause)
    assert lab.run(*RENDER, EXPECT="gpu", STRICT="1", **setting).returncode == 1
    if cause == "render.diverted":
        assert f"[{cause}]" not in lab.ok("bash", "-c", f"{remedy(run)}; {' '.join(RENDER)}", **setting).stderr


@injects("render.egl.vendor-missing", "libEGL_nvidia without its vendor file", "install … env/system/10_nvidia.json …")
@injects("render.egl.not-permitted", "the vendor file, and no device nodes")
@injects("render.software-on-gpu", "all of that, with a stand-in for the driver that draws in software")
def test_each_step_between_egl_and_the_gpu_is_named(lab):
    run = on_gpu_machine(lab, [])
    assert_degraded(run, "render", "render.egl.vendor-missing")
    run = on_gpu_machine(lab, [remedy(run)])
    assert_degraded(run, "render", "render.egl.not-permitted")
    found = "check.render_errors.loads = check.render_errors.os.access = lambda *_: True"
    found += "; check.render_errors.vendors = lambda: {'10_nvidia.json': 'libEGL_nvidia.so.0'}"
    assert_degraded(with_fault(lab, "render", found, EXPECT="gpu"), "render", "render.software-on-gpu")
