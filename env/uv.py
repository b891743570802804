"""The locked uv, which fetches packages as pip is configured to; and what its failures mean."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from env.venv_key import cache_folder
from env.wheel_files import changed_files

IN_IMAGE = Path("/opt/lab")  # docker/Dockerfile
UV_IN_IMAGE = Path("/opt/uv")
HANDED_DOWN = "LAB_UV"  # in the environment: the uv to use, and that the rest of it is under uv's names already
LOCKED = ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r"]
# Settings of other projects that would change what is installed, or where.
FOREIGN = [
    *("PIP_CONSTRAINT", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH"),
    *(
        "UV_CONFIG_FILE",
        "UV_CONSTRAINT",
        "UV_EXCLUDE_NEWER",
        "UV_LINK_MODE",
        "UV_OVERRIDE",
        "UV_PYTHON",
        "UV_REQUIRE_HASHES",
    ),
    *("UV_SYSTEM_PYTHON", "VIRTUAL_ENV"),
]
UV_NAMES = {  # pip's option, and uv's variable for the same
    "cert": "SSL_CERT_FILE",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "no-index": "PIP_NO_INDEX",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}
SYSTEM_CERTIFICATES = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
]
NOISE = re.compile(r" [+~-] |Using Python|Audited|Resolved| +Buil|WARNING: (Location|Running pip)")
NOT_FOUND = (
    r"No solution found|No matching distribution|was not found in the p",
    "pip's index does not offer a locked package for this Python and machine",
    "pip config list; correct the index, or add the package (named above) to its find-links; then: make venv",
)
CAUSES = [  # what pip or uv says, what that means, what helps
    (
        r"No space left|os error 28|Errno 28|Disk quota|os error 122",
        "the disk is full; a venv takes 0.6 GB, torch's base layer 0.8 GB, uv's cache 1.3 GB",
        "df -h . ~/.cache; free some space, then: make venv",
    ),
    (
        r"`UV_OFFLINE`",
        "UV_OFFLINE is set, and the package index is to be asked",
        "unset UV_OFFLINE; make venv",
    ),
    (
        r"Could not acquire lock",
        "uv's cache is on a file system that has no locks; where is above",
        "unset UV_CACHE_DIR; make venv XDG_CACHE_HOME=/a/folder/on/a/local/disk",
    ),
    (
        r"[Hh]ash(es)? (mismatch|do not match)|THESE PACKAGES DO NOT MATCH",
        "a package is not the one that is locked; its name is above",
        "rm -rf ~/.cache/uv && make venv; if it stays, do not trust where it comes from (pip config list)",
    ),
    (
        r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "a certificate is not trusted: a proxy here signs with an authority of its own",
        "pip config set global.cert /path/to/its/certificates.pem (or add it to the system's), then: make venv",
    ),
    (
        r"40[13] (Client Error|Unauthorized|Forbidden)",
        "the package index refuses what was asked (401, 403): it wants a login, or another one",
        "pip config set global.index-url https://USER:TOKEN@… (or name both in ~/.netrc), then: make venv",
    ),
    (
        r"dns error|name resolution|Name or service not known|unreachable|[Cc]onnection|[Tt]imed? ?out"
        r"|error sending request|Failed to fetch",
        "packages cannot be fetched: there is no network, or none that reaches the package index",
        "connect this machine, or point pip at a mirror (pip config set global.index-url …), then: make venv",
    ),
    NOT_FOUND,
]


class Trouble(Exception):
    """What went wrong, and the command that helps; `said`: in the words of the program, where these may say more."""

    def __init__(self, why, fix, said=""):
        super().__init__(why)
        self.fix = fix
        self.said = said


def own_environment():
    """Return the environment less what other projects have set in it, in which uv reads no uv.toml of theirs."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN} | {"UV_NO_CONFIG": "1"}


def pip_settings(environment):
    """Return what pip is configured with, by option name; uv does not read pip's configuration."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True)
    if listed.returncode:
        need_pip(environment)
        listed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    sections = ("global", "install", ":env:")  # the later ones win
    found = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in sections:
            found[sections.index(section), option] = ast.literal_eval(value)
    return {option: found[section, option] for section, option in sorted(found)}


def uv_environment(environment):
    """Return `environment` with what pip is configured with under uv's names; uv's own settings win."""
    if HANDED_DOWN in environment or environment.get("KIT"):
        return environment
    pip = pip_settings(environment)
    return {
        **{variable: ",".join(pip[option].split()) for option, variable in UV_NAMES.items() if pip.get(option)},
        # All its indexes are equal to pip, and to us: the hash decides, never the source.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        # As pip does; a proxy's own authority is among the system's. Where there are none, uv has its own.
        "UV_SYSTEM_CERTS": str(any(map(os.path.exists, SYSTEM_CERTIFICATES))).lower(),
        **environment,
    }


def cause_of(said):
    """Return the first of CAUSES that what pip or uv `said` tells of, or None."""
    return next((cause for cause in CAUSES if re.search(cause[0], said)), None)


def run_watched(command, environment, show=True, again="make venv"):
    """Run a command and pass on what it says to stderr as it says it; raise Trouble with the cause.

    `again` is the command that the user repeats when the cause is mended.
    """
    environment = {**environment, "PIP_NO_INPUT": "1"}  # nobody would see what it asks
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, **quiet, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if show and not NOISE.match(line):
            print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
    if process.wait() == 0:
        return
    said = "".join(lines)
    cause = cause_of(said)
    if cause == NOT_FOUND:
        cause = cause_of(said + unreached(command, environment))
    if cause:
        _, why, fix = cause
        raise Trouble(why, fix.replace("make venv", again), said if cause == NOT_FOUND else "")
    program = Path(command[0]).name
    if process.returncode < 0:
        raise Trouble(f"{program} was ended by signal {-process.returncode}", again, said)
    last = said[max(said.rfind("error: "), 0) :].strip()[-500:]  # it breaks long lines, and has a line for each cause
    words = "; its message is above" if show else f": {' '.join(last.split()).removeprefix('error: ')}"
    raise Trouble(f"{program} failed with status {process.returncode}{words}", again, said)


def unreached(command, environment):
    """Return which indexes do not answer pip or uv, and why: neither says so by itself, uv because of its strategy."""
    details = [] if command[1] == "pip" else ["-vvv"]
    again = {"env": {**environment, "UV_INDEX_STRATEGY": "first-index"}, "stdin": subprocess.DEVNULL}
    run = subprocess.run([*command, *details], **again, capture_output=True, text=True)
    return "".join(re.findall(r"(?:Could not fetch URL|hint:) .*\n?", run.stdout + run.stderr))


def without_index(environment):
    """Say whether packages may come from find-links alone."""
    return environment.get("PIP_NO_INDEX", "").lower() in ("1", "on", "t", "true", "y", "yes")


def make_venv(uv, environment, folder, *options):
    """Make an empty venv of this interpreter in `folder`, which can be renamed."""
    options = ["--quiet", "--relocatable", "--no-project", "--python", sys.executable, *options]
    run_watched([uv, "venv", *options, folder], environment)


def install(uv, environment, folder, lock, *options, show=True):
    """Install what `lock` pins, by hash, into the venv in `folder`; see that this is what the wheels hold."""
    print(f"venv: installing {lock}", file=sys.stderr, flush=True)
    # Copies, not links: an edit or a fault in this venv must not reach the cache and so the next.
    options = ["--python", f"{folder}/bin/python", "--link-mode=copy", *options]
    options += ["--no-index"] if without_index(environment) else []
    command = [uv, "pip", "install", *options, *LOCKED, lock]
    run_watched(command, environment, show)
    changed = changed_files(next(Path(folder).glob("lib/python*/site-packages")), Path(lock))
    if not changed:
        return
    for name, file in changed.items():
        why = f"{file} is not what the wheel of {name} holds: uv's cache has it changed"
        print(f"warning: venv: {why}, as an edit in another project does; fetching {name} anew", file=sys.stderr)
    print(f"fix: {shlex.quote(str(uv))} cache clean {' '.join(changed)}", file=sys.stderr, flush=True)
    run_watched([*command, "--no-cache", *(f"--reinstall-package={name}" for name in changed)], environment, show)


def conduct(build, folder):
    """Build in `folder`, and say what went wrong; return the exit status."""
    try:
        build(folder)
    except KeyboardInterrupt:
        print("venv: interrupted; the old one, if any, is untouched", file=sys.stderr)
        return 130
    except Trouble as reason:
        print(f"error: venv: {reason}\nfix: {reason.fix}", file=sys.stderr)
        return 1
    return 0


def need_pip(environment):
    """Raise Trouble unless the base layer's interpreter has pip, after trying to install it."""
    command = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(command, env=environment, capture_output=True).returncode == 0:
        return
    if sys.prefix != "/usr":
        raise Trouble(f"{sys.executable} has no pip", f"{sys.executable} -m ensurepip, then: make venv")
    # Debian and Ubuntu ship their python3 without it.
    subprocess.run(["env/system/install.sh", "python3-pip"], check=True)
    if subprocess.run(command, env=environment, capture_output=True).returncode:
        raise Trouble(f"{sys.executable} has no pip", "sudo apt-get install -y python3-pip, then: make venv")


def find_uv(environment, pin=Path("env/uv.txt")):
    """Return the path of the uv that `pin` locks: the image's, or one installed by hash into the user's cache."""
    if HANDED_DOWN in environment:
        return Path(environment[HANDED_DOWN])
    lock = hashlib.sha256(pin.read_bytes()).hexdigest()
    if UV_IN_IMAGE.exists() and f"env/uv.txt {lock}\n" in (IN_IMAGE / ".requirements_hash").read_text():
        return UV_IN_IMAGE
    try:
        folder = cache_folder() / f"uv-{lock[:12]}-{platform.machine()}"
    except RuntimeError:  # a uid without a name, and no HOME
        raise Trouble("there is no home folder to keep uv in", "export HOME=/a/folder/that/is/yours") from None
    uv = folder / "bin/uv"
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    options = ["--quiet", "--disable-pip-version-check", "--target", fresh, *LOCKED, pin]
    try:
        if uv.exists():
            return uv
        if kit := environment.get("KIT"):  # pip's own wheel runs as it is
            pip = [sys.executable, str(next(Path(kit).glob("wheels/pip-*.whl")) / "pip")]
        else:
            need_pip(environment)
            pip = [sys.executable, "-m", "pip"]
        print("venv: fetching uv", file=sys.stderr, flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The two settings may also come from pip's files, which the environment outweighs.
        own = {**environment, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
        run_watched([*pip, "install", *options], own)
        if not uv.exists():
            fresh.rename(folder)
    except OSError as reason:
        why = f"uv cannot be kept in {folder.parent}: {reason.strerror}"
        raise Trouble(why, "make verify XDG_CACHE_HOME=/a/folder/that/is/yours") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return uv
