"""Run a command for which a folder is on a file system that does not lock as a local one does.

    python tests/faults/without_locks.py FOLDER none COMMAND …     as Lustre without -o flock: nothing can be locked
    python tests/faults/without_locks.py FOLDER nfs4 COMMAND …     as NFSv4: alone only what is open for writing

The kernel asks this process about every flock(2) of the command's and its children's (seccomp_unotify(2)).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
import subprocess
import sys
import threading
from pathlib import Path

FLOCK, SECCOMP = {"x86_64": (73, 317), "aarch64": (32, 277)}[platform.machine()]
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, NEW_LISTENER = 38, 1, 8
RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTIFICATION = "=QIIiIQ6Q"  # id, pid, flags; the call: number, architecture, instruction, arguments
RESPONSE = "=QqiI"  # id, value, error, flags
CONTINUE = 1
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ASK = 0x7FFF0000, 0x7FC00000


def asked_about() -> int:
    """Have the kernel ask about each flock of this thread and what it starts; return where it asks."""
    libc = ctypes.CDLL(None, use_errno=True)
    lines = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, FLOCK), (RETURN, 0, 0, ASK), (RETURN, 0, 0, ALLOW)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(filters)))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener = libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def refusal(folder: Path, kind: str, pid: int, descriptor: int, operation: int) -> int:
    """Return the error of this file system for a lock; 0: none, or another's file."""
    try:
        inside = Path(f"/proc/{pid}/fd/{descriptor}").readlink().is_relative_to(folder)
        flags = int(Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().split("flags:")[1].split()[0], 8)
    except FileNotFoundError:
        return 0
    if not inside:
        return 0
    if kind == "none":
        return errno.ENOLCK
    return errno.EBADF if operation & fcntl.LOCK_EX and flags & os.O_ACCMODE == os.O_RDONLY else 0


def answer(listener: int, folder: Path, kind: str) -> None:
    """Answer the kernel for as long as it asks."""
    while True:
        notification = bytearray(struct.calcsize(NOTIFICATION))
        try:
            fcntl.ioctl(listener, RECEIVE, notification)
            identity, pid, _, _, _, _, descriptor, operation, *_ = struct.unpack(NOTIFICATION, notification)
            error = refusal(folder, kind, pid, descriptor, operation)
            response = struct.pack(RESPONSE, identity, 0, -error, 0 if error else CONTINUE)
            fcntl.ioctl(listener, SEND, response)
        except OSError as reason:  # the process that asked has been ended
            if reason.errno != errno.ENOENT:
                raise


def main(folder: str, kind: str, *command: str) -> int:
    """Run the command in a thread that is asked about, and answer in another; return its exit status."""
    status, listener, ready = [], [], threading.Event()

    def run() -> None:
        listener.append(asked_about())
        ready.set()
        status.append(subprocess.call(command))

    runner = threading.Thread(target=run)
    runner.start()
    ready.wait(10)
    threading.Thread(target=answer, args=(listener[0], Path(folder).resolve(), kind), daemon=True).start()
    runner.join()
    return status[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
