"""Why a GL backend does not draw, or the GPU does not: the cause, and what helps."""

from __future__ import annotations

import ctypes
import json
import os
import re
import tempfile
from pathlib import Path

from checks.causes import Finding

CAUSES = """
render.variable `MUJOCO_GL` or `PYOPENGL_PLATFORM` is not egl or osmesa, or they differ
    unset MUJOCO_GL PYOPENGL_PLATFORM
render.device-id `MUJOCO_EGL_DEVICE_ID` names no device; it does not count as `CUDA_VISIBLE_DEVICES` does
    unset MUJOCO_EGL_DEVICE_ID
render.temporary-folder no room for a picture in the folder for temporary files
    df -h …; or make check-render TMPDIR=/a/larger/folder
render.egl.library-missing no libEGL or no libGL
    env/system/install.sh libegl1 libgl1
render.egl.no-driver EGL is installed, but no vendor file names a driver that loads
    env/system/install.sh --reinstall libegl1 libegl-mesa0 libgl1-mesa-dri
render.osmesa.library-missing no libOSMesa; newer distributions have none, and draw by EGL
    env/system/install.sh libosmesa6
render.diverted a variable sends GL to software on a GPU machine
    unset …
render.other-gpu another GPU draws than the one that trains
    unset MUJOCO_EGL_DEVICE_ID
render.egl.capability-missing the container was given the GPU without graphics
    docker run … --env NVIDIA_DRIVER_CAPABILITIES=all
render.egl.driver-without-gl the driver was installed without its GL libraries: no `libEGL_nvidia.so.0`
    on the host: ldconfig -p | grep libEGL_nvidia; Ubuntu: sudo apt-get install libnvidia-gl-…, of its version
render.egl.vendor-missing no vendor file names `libEGL_nvidia.so.0`
    sudo install -D -m 644 env/system/10_nvidia.json /usr/share/glvnd/egl_vendor.d/10_nvidia.json
render.egl.not-permitted `/dev/nvidia*` is not there or cannot be opened
    ls -l /dev/nvidia*; sudo usermod -aG video,render $USER, then log out and back in
render.software-on-gpu software draws on a GPU machine, and none of the above is why
    nvidia-smi; make check-gpu
render.second-black when one renderer is closed, another one's pictures go black: so it is on OSMesa (mujoco issue 1186)
    unset MUJOCO_GL PYOPENGL_PLATFORM; or, in your code, before renderer.close(): renderer._gl_context.make_current()
render.crashed the driver ends the process
render.hangs the driver draws nothing in three minutes
render.size a picture of another size than asked for
render.blank a picture of one colour
render.frozen the robot moves and the picture does not
render.no-robot too little robot in the picture
render.failed the backend fails for another reason
    env/system/install.sh --reinstall libegl1 libegl-mesa0 libgl1-mesa-dri
render.file-differs the picture on disk is not the one drawn
    df -h …
"""

# What each backend loads, and the Debian package that brings it.
LIBRARIES = {
    "egl": {"libEGL.so.1": "libegl1", "libGL.so.1": "libgl1"},
    "osmesa": {"libOSMesa.so.8": "libosmesa6"},
}
# Where EGL's loader looks for the files that name its drivers, in this order (libglvnd).
VENDOR_FOLDERS = ("/etc/glvnd/egl_vendor.d", "/usr/share/glvnd/egl_vendor.d")
NVIDIA_DRAWS = "the NVIDIA GPU to draw"
NVIDIA_EGL = "libEGL_nvidia.so.0"
# Variables that send EGL to another driver than the first that works.
DIVERTING = ("__EGL_VENDOR_LIBRARY_DIRS", "__EGL_VENDOR_LIBRARY_FILENAMES", "LIBGL_ALWAYS_SOFTWARE")


def loads(library: str) -> bool:
    """Say whether the dynamic linker finds a library and can load it."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def vendors() -> dict[str, str]:
    """Return the drivers that EGL's loader is told of: library by path of the file that names it."""
    found = {}
    for path in (path for folder in VENDOR_FOLDERS for path in sorted(Path(folder).glob("*.json"))):
        try:
            found[str(path)] = json.loads(path.read_text())["ICD"]["library_path"]
        except (OSError, ValueError, KeyError, TypeError):
            found[str(path)] = "unreadable"
    return found


def why_not(backend: str, said: str) -> Finding:
    """Return why a backend did not draw; `said` is the last line of the process that tried."""
    expected = f"{backend} to draw"
    kind = backend.partition("-")[0]
    if "MUJOCO_EGL_DEVICE_ID" in said:
        return Finding("render.device-id", expected, said)
    if re.search("No space left|problem writing element|requested and .* written", said):
        folder = tempfile.gettempdir()
        fix = f"df -h '{folder}'; or make check-render TMPDIR=/a/larger/folder"
        return Finding("render.temporary-folder", expected, f"{said}: {folder} is full", fix)
    missing = {library: package for library, package in LIBRARIES[kind].items() if not loads(library)}
    if missing:
        found = f"{', '.join(missing)} cannot be loaded"
        return Finding(
            f"render.{kind}.library-missing", expected, found, f"env/system/install.sh {' '.join(missing.values())}"
        )
    if kind == "egl" and not any(loads(library) for library in vendors().values()):
        found = f"EGL has no driver: no file in {' or '.join(VENDOR_FOLDERS)} names one that loads"
        return Finding("render.egl.no-driver", expected, found)
    return Finding("render.failed", expected, said)


def why_not_nvidia(instead: str) -> Finding | None:
    """Return what is missing between EGL and the GPU, if it is known; `instead` says what happened."""

    def finding(cause: str, found: str, fix: str = "") -> Finding:
        return Finding(cause, NVIDIA_DRAWS, f"{instead}: {found}", fix)

    diverted = {name: os.environ[name] for name in DIVERTING if os.environ.get(name)}
    if os.environ.get("MUJOCO_GL") == "osmesa":
        diverted |= {name: "osmesa" for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM") if name in os.environ}
    if diverted:
        settings = " ".join(f"{name}={value}" for name, value in diverted.items())
        return finding("render.diverted", settings, f"unset {' '.join(diverted)}")
    capabilities = os.environ.get("NVIDIA_DRIVER_CAPABILITIES", "all")
    if not {"all", "graphics"} & set(capabilities.split(",")):
        found = f"NVIDIA_DRIVER_CAPABILITIES={capabilities} leaves graphics out of the container"
        return finding("render.egl.capability-missing", found)
    if not loads(NVIDIA_EGL):
        found = f"the driver's {NVIDIA_EGL} cannot be loaded: the driver was installed without its GL libraries"
        return finding("render.egl.driver-without-gl", found)
    if not any("libEGL_nvidia" in library for library in vendors().values()):
        found = f"no file in {' or '.join(VENDOR_FOLDERS)} names {NVIDIA_EGL}"
        fix = f"{sudo()}install -D -m 644 env/system/10_nvidia.json {VENDOR_FOLDERS[1]}/10_nvidia.json"
        return finding("render.egl.vendor-missing", found, fix)
    nodes = [Path("/dev/nvidiactl"), *sorted(Path("/dev").glob("nvidia[0-9]*"))]
    barred = [str(node) for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if barred:
        return finding("render.egl.not-permitted", f"{', '.join(barred)} cannot be opened")
    return None


def other_gpu(drew: str | None) -> Finding:
    """Return that a GPU drew which is not the first that CUDA sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = f"CUDA_VISIBLE_DEVICES={visible}" if visible else "CUDA_VISIBLE_DEVICES is not set"
    number = os.environ.get("MUJOCO_EGL_DEVICE_ID")
    why = f"MUJOCO_EGL_DEVICE_ID={number}" if number else "EGL has no number for the one that CUDA sees first"
    fix = "" if number else "nvidia-smi -L; CUDA_VISIBLE_DEVICES=a whole GPU of it"
    return Finding("render.other-gpu", "the GPU that trains to draw", f"{drew or 'another'} did: {why}, {visible}", fix)


def second_black(backend: str, pixels_lost: int) -> Finding | None:
    """Return that a renderer loses its pictures with another, where it does."""
    expected = f"{backend} to draw on in one renderer when another is closed"
    found = f"{pixels_lost:,} pixels of its picture have changed"
    return Finding("render.second-black", expected, found) if pixels_lost else None


def sudo() -> str:
    """Return `sudo `, or nothing for root, who may not have it."""
    return "sudo " if os.geteuid() else ""
