"""EGL's devices, and which of them is which CUDA device: MuJoCo counts the one (MUJOCO_EGL_DEVICE_ID), CUDA the other.

    python -m checks.render_devices     EGL's devices in its order, as JSON: their CUDA ordinal and UUID, or null

EGL tells the ordinal among the devices that CUDA_VISIBLE_DEVICES leaves visible, and none of those that it hides.
Sources: EGL_NV_device_cuda; for the UUID, which is nvidia-smi's, EGL_EXT_device_persistent_id and NVIDIA's name for it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import uuid
from pathlib import Path
from subprocess import TimeoutExpired
from typing import NamedTuple

from checks import outside
from checks.output import ROOT, written_by_rename

TIMEOUT = 60  # seconds
MOST = 64  # devices
EGL_DEVICE_EXT = 0x322C
EGL_CUDA_DEVICE_NV = 0x323A
EGL_DEVICE_UUID_EXT = 0x335C


class Device(NamedTuple):
    """A device of EGL: its CUDA ordinal, None where CUDA does not see it; its UUID, None where EGL tells none."""

    cuda: int | None
    uuid: str | None


class Egl:
    """What EGL tells of its devices. Raises OSError where there is no libEGL, LookupError where it cannot list them."""

    def __init__(self):
        self.library = ctypes.CDLL("libEGL.so.1")
        self.library.eglGetProcAddress.restype = ctypes.c_void_p
        self.library.eglGetCurrentDisplay.restype = ctypes.c_void_p

    def function(self, name: str, *types):
        """Return an extension's function."""
        address = self.library.eglGetProcAddress(name.encode())
        if not address:
            raise LookupError(name)
        return ctypes.CFUNCTYPE(ctypes.c_uint, *types)(address)

    def devices(self) -> list[int]:
        """Return the handles of all devices, in EGL's order."""
        query = self.function("eglQueryDevicesEXT", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        handles, count = (ctypes.c_void_p * MOST)(), ctypes.c_int()
        return list(handles[: count.value]) if query(MOST, handles, ctypes.byref(count)) else []

    def current_device(self) -> int | None:
        """Return the handle of the device that draws in this thread."""
        query = self.function("eglQueryDisplayAttribEXT", ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        handle, display = ctypes.c_void_p(), self.library.eglGetCurrentDisplay()
        return handle.value if display and query(display, EGL_DEVICE_EXT, ctypes.byref(handle)) else None

    def describe(self, handle: int) -> Device:
        """Return what is known of a device."""
        attribute = self.function("eglQueryDeviceAttribEXT", ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        ordinal = ctypes.c_ssize_t()
        cuda = ordinal.value if attribute(handle, EGL_CUDA_DEVICE_NV, ctypes.byref(ordinal)) else None
        value, size = (ctypes.c_ubyte * 16)(), ctypes.c_int()
        types = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        try:
            binary = self.function("eglQueryDeviceBinaryEXT", *types)
        except LookupError:  # Mesa has none
            return Device(cuda, None)
        known = binary(handle, EGL_DEVICE_UUID_EXT, 16, value, ctypes.byref(size)) and size.value == 16
        return Device(cuda, f"GPU-{uuid.UUID(bytes=bytes(value))}" if known else None)


def drawing() -> Device:
    """Return the device that draws in this thread; a Device of Nones where EGL does not tell."""
    try:
        egl = Egl()
        handle = egl.current_device()
        return egl.describe(handle) if handle else Device(None, None)
    except (OSError, LookupError):
        return Device(None, None)


def ask(environment: dict[str, str]) -> list[Device]:
    """Return EGL's devices as a process with that environment sees them; none where EGL does not tell, or hangs."""
    command = [sys.executable, "-m", "checks.render_devices"]
    try:
        return [Device(*row) for row in json.loads(outside.run(command, TIMEOUT, cwd=ROOT, env=environment).stdout)]
    except (TimeoutExpired, ValueError):
        return []


def first_for_cuda() -> int | None:
    """Return the EGL number of the first device that CUDA_VISIBLE_DEVICES leaves visible, on which the lab trains.

    Keeps that of every device for the commands that follow: docker/variables.sh reads it.
    """
    seen = ask(dict(os.environ))
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    everything = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    keep(seen if hidden is None else ask(everything))
    return next((number for number, device in enumerate(seen) if device.cuda == 0), None)


def kept() -> Path:
    """Return the file that has a line `UUID CUDA-ordinal EGL-number` for each GPU that check_render has seen."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "robotics-lab" / "egl-devices"


def keep(devices: list[Device]) -> None:
    """Write down the devices that CUDA sees, in place of this machine's older lines; other machines share the file."""
    mine = {
        device.uuid: f"{device.uuid} {device.cuda} {number}" for number, device in enumerate(devices) if device.uuid
    }
    lines = kept().read_text().splitlines() if kept().exists() else []
    others = [line for line in lines if line.split(" ")[0] not in mine]
    text = "".join(f"{line}\n" for line in [*others, *(line for line in mine.values() if " None " not in line)])
    if mine and text != "".join(f"{line}\n" for line in lines):
        with written_by_rename(kept()) as path:
            path.write_text(text)


if __name__ == "__main__":
    try:
        egl = Egl()
        print(json.dumps([egl.describe(handle) for handle in egl.devices()]))
    except (OSError, LookupError):
        print("[]")
