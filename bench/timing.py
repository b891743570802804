"""Run a command in the lab, and say how long it took."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = "proof/bench"  # what a run leaves besides its record; in a container the repository is elsewhere
LAB = ["docker/dev.sh"]
# Without what a make above this process has left in it, and what makes the chain another than the protocol's.
OTHERS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PROOF", "STEPS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in OTHERS}
PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


class CommandFailed(Exception):
    """A command that is to be measured did not succeed; says which, and its last words."""


def run(command: list[str], what: str) -> tuple[float, str]:
    """Run a command, saying so on stderr; return its wall time (s) and its stdout's last line. Raises CommandFailed."""
    print(f"bench: {what} … ", end="", file=sys.stderr, flush=True)
    started = time.perf_counter()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # until there is a process to end
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        **PIPES,
        start_new_session=True,  # a group, to be ended as one
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, ends),
    )
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
        out, err = process.communicate()
    except BaseException:  # Ctrl-C, SIGTERM: what was started here does not go on
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        raise
    seconds = time.perf_counter() - started
    print("failed" if process.returncode else f"{seconds:.2f} s", file=sys.stderr, flush=True)
    if process.returncode:
        last = "\n".join((err.strip() or out.strip()).splitlines()[-4:])
        raise CommandFailed(f"{' '.join(command)} ended with status {process.returncode}:\n{last}")
    return seconds, out.strip().rpartition("\n")[2]
