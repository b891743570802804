"""check_render says who drew, and why not the one that should have."""

from __future__ import annotations

import os

import imageio.v3 as imageio
import numpy as np
import pytest
from conftest import ROOT, Clone, in_namespace
from verdicts import LAB, ask, assert_degraded, assert_one_clear_error, each_injected, evidence, injects, remedy

from checks import check_render, render_devices, render_errors
from checks.render_devices import Device

RENDER = (*LAB, "checks", "render")
VENDORS = render_errors.VENDOR_FOLDERS[1]


@pytest.fixture
def out(tmp_path) -> tuple[str, str]:
    """The option that has the picture written elsewhere than into the working tree."""
    return "--out", str(tmp_path / "frame.png")


def test_render_draws_the_robot(lab, tmp_path):
    out = tmp_path / "a frame.png"
    lab.ok(*RENDER, "--out", str(out))
    assert imageio.imread(out).shape == check_render.SHAPE
    record = evidence(lab, "render-trial")
    assert record["evidence"]["robot_pixels"] > check_render.MIN_ROBOT_PIXELS
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


TWO_GPUS = """mount -t tmpfs tmpfs /proc/driver
for uuid in GPU-aaaa GPU-bbbb; do
  mkdir -p /proc/driver/nvidia/gpus/$uuid
  echo "GPU UUID: 	 $uuid" >/proc/driver/nvidia/gpus/$uuid/information
done"""


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({}, "unset"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, "2"),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, "2"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bb"}, "2"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-cccc"}, "unset"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "unset"),
        ({"CUDA_VISIBLE_DEVICES": "1", "MUJOCO_EGL_DEVICE_ID": "0"}, "0"),
        ({"CUDA_VISIBLE_DEVICES": "0", "MUJOCO_EGL_DEVICE_ID": "2", "LAB_EGL_DEVICE_ID": "2"}, "unset"),
    ],
    ids=str,
)
def test_door_has_mujoco_draw_on_the_gpu_that_trains(lab, tmp_path, environment, number):
    """A machine with two GPUs, of which check-render has kept the numbers; GPU-cccc is another machine's."""
    kept = tmp_path / "robotics-lab/egl-devices"
    kept.parent.mkdir()
    kept.write_text("GPU-cccc 0 5\nGPU-aaaa 0 0\nGPU-bbbb 1 2\n")
    script = '. docker/variables.sh; echo "${MUJOCO_EGL_DEVICE_ID-unset}"'
    command = in_namespace(TWO_GPUS, "bash", "-euc", script)
    assert lab.ok(*command, **environment, XDG_CACHE_HOME=str(tmp_path)).stdout.strip() == number


@injects("render.other-gpu", "EGL's words on a host of two GPUs, of which CUDA_VISIBLE_DEVICES=1 hides the first")
def test_gpu_that_draws_and_does_not_train_is_named(monkeypatch, out):
    """With two GPUs the other one draws where MUJOCO_EGL_DEVICE_ID says so: here it is said of the picture drawn."""
    hidden = {"cuda": None, "uuid": "GPU-aaaa"}
    drawn = check_render.probe

    def drawn_by_the_hidden_one(*arguments):
        return drawn(*arguments) | {"renderer": "NVIDIA H100 80GB HBM3/PCIe/SSE2", "device": hidden}

    monkeypatch.setattr(check_render, "probe", drawn_by_the_hidden_one)
    run = ask(check_render, *out, EXPECT="gpu", CUDA_VISIBLE_DEVICES="1", MUJOCO_EGL_DEVICE_ID="0")
    assert_degraded(run, "render", "render.other-gpu")
    assert "GPU-aaaa did: MUJOCO_EGL_DEVICE_ID=0, CUDA_VISIBLE_DEVICES=1" in run.stderr


def test_numbers_of_devices_are_kept_once_each(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, two = Device(0, "GPU-aaaa"), Device(1, "GPU-bbbb")
    mesa = Device(None, None)
    for seen in ([one], [mesa, two, one], [Device(0, "GPU-cccc")], []):
        render_devices.keep(seen)
    assert render_devices.kept().read_text() == "GPU-bbbb 1 1\nGPU-aaaa 0 2\nGPU-cccc 0 0\n"


OSMESA = {"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa"}
CURED = """
import mujoco
from checks import fetch, render_probe
close = mujoco.Renderer.close
def cured(renderer):
    if renderer._gl_context:
        renderer._gl_context.make_current()
    close(renderer)
mujoco.Renderer.close = cured
with fetch.made(fetch.SMOKE_ENV) as env:
    env.reset(seed=0)
    print(render_probe.pixels_lost(env))
"""


@injects("render.second-black", "two renderers on OSMesa, of which one is closed", "unset MUJOCO_GL PYOPENGL_PLATFORM")
def test_picture_that_goes_black_with_another_renderer_is_seen(lab):
    """Both remedies: EGL, and the line of code."""
    run = lab.run(*RENDER, **OSMESA)
    assert_degraded(run, "render", "render.second-black")
    assert mended(lab, run, **OSMESA).startswith("ok ")
    assert "renderer._gl_context.make_current()" in run.stderr
    assert lab.ok("docker/dev.sh", "python", "-c", CURED, **OSMESA).stdout == "0\n"


# drivers that draw wrong


@each_injected
@injects("render.crashed", "a stand-in for a driver that ends the process with SIGSEGV", gl="egl")
@injects("render.size", "a stand-in that draws half the rows", gl="osmesa")
@injects("render.blank", "a stand-in that draws black", gl="osmesa")
@injects("render.frozen", "a stand-in that draws the first frame again and again", gl="osmesa")
@injects("render.failed", "a stand-in whose context cannot be made", gl="egl")
def test_driver_that_draws_wrong(out, cause, gl):
    """One by one those that MUJOCO_GL allows are tried: from EGL on all of them, and OSMesa alone."""
    run = ask(check_render, *out, MUJOCO_GL=gl, PYTHONPATH=f"{ROOT}/tests/faults/driver", DRIVER=cause)
    assert_one_clear_error(run, "render", cause)
    names = [backend.name for backend in check_render.BACKENDS]
    assert list(run.record["evidence"]["failed"]) == names[names.index(gl) :]


@injects("render.temporary-folder", "a TMPDIR of 100 KB", "make check-render TMPDIR=/tmp")
def test_full_temporary_folder_is_not_taken_for_a_driver(lab, out, tmp_path):
    mount = f"mkdir '{tmp_path}/small'; mount -t tmpfs -o size=100k tmpfs '{tmp_path}/small'"
    run = lab.run(*in_namespace(mount, *RENDER, *out), TMPDIR=f"{tmp_path}/small")
    assert_one_clear_error(run, "render", "render.temporary-folder")
    lab.ok(*RENDER, *out)


def black(*_, **__) -> np.ndarray:
    return np.zeros(check_render.SHAPE, np.uint8)


@each_injected
@injects("render.no-robot", "a bound that no picture meets", fault=(check_render, "MIN_ROBOT_PIXELS", 480 * 480))
@injects("render.hangs", "a driver that is given 10 ms", fault=(check_render, "PROBE_TIMEOUT", 0.01))
@injects(
    "render.file-differs", "a picture file that is read back otherwise", fault=(imageio, "imread", lambda *_, **__: 0)
)
def test_picture_that_is_not_what_it_should_be(monkeypatch, out, cause, fault):
    monkeypatch.setattr(*fault)
    assert_one_clear_error(ask(check_render, *out, MUJOCO_GL="osmesa"), "render", cause)


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


@each_injected
@injects("render.egl.driver-without-gl", "this machine, with EXPECT=gpu", setting={})
@injects(
    "render.diverted",
    "LIBGL_ALWAYS_SOFTWARE=1",
    "unset LIBGL_ALWAYS_SOFTWARE",
    setting={"LIBGL_ALWAYS_SOFTWARE": "1"},
)
@injects(
    "render.diverted",
    "MUJOCO_GL=osmesa",
    "unset MUJOCO_GL PYOPENGL_PLATFORM",
    setting={"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa"},
)
@injects(
    "render.egl.capability-missing",
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility, as NVIDIA's images have it",
    setting={"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
)
def test_software_on_a_gpu_machine_says_why(lab, cause, setting):
    run = lab.run(*RENDER, EXPECT="gpu", **setting)
    assert_degraded(run, "render", cause)
    if cause == "render.diverted":
        assert f"[{cause}]" not in lab.ok("bash", "-c", f"{remedy(run)}; {' '.join(RENDER)}", **setting).stderr


@injects("render.egl.vendor-missing", "libEGL_nvidia without its vendor file", "install … env/system/10_nvidia.json …")
@injects("render.egl.not-permitted", "the vendor file, and no device nodes")
@injects("render.software-on-gpu", "all of that, with a stand-in for the driver that draws in software")
def test_each_step_between_egl_and_the_gpu_is_named(lab, monkeypatch, out):
    run = on_gpu_machine(lab, [])
    assert_degraded(run, "render", "render.egl.vendor-missing")
    run = on_gpu_machine(lab, [remedy(run)])
    assert_degraded(run, "render", "render.egl.not-permitted")
    monkeypatch.setattr(render_errors, "loads", lambda library: True)
    monkeypatch.setattr(render_errors, "vendors", lambda: {"10_nvidia.json": render_errors.NVIDIA_EGL})
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert_degraded(ask(check_render, *out, EXPECT="gpu"), "render", "render.software-on-gpu")
