"""Build the lab's virtual environment, and say what it is made from.

    python -I env/venv.py key          print the key: all that would make the same lock another environment
    python -I env/venv.py build DIR    build and prove a venv in DIR, which must not exist

Run by env/venv.sh, the gate, with the interpreter of the base layer; that may be one without pip,
without torch, or in a virtual environment of its own. Standard library only, and no syntax newer than
Python 3.7 before the version is judged, so that an old Python gets a sentence and not a SyntaxError.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = [(3, 11), (3, 12), (3, 13)]  # as pyproject.toml's requires-python
SPECIFICATION = [
    "requirements.txt",
    "env/torch-cpu.txt",
    "env/torch-cpu-needs.txt",
    "env/uv.txt",
    "env/venv.py",
    "env/venv.sh",
    "env/prove.py",
    "pyproject.toml",
]
IN_IMAGE = Path("/opt/lab")  # docker/Dockerfile
UV_IN_IMAGE = Path("/opt/uv")
LOCKED = ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r"]
# Settings of other projects that would change what is installed, or where.
FOREIGN = [
    *("PIP_CONSTRAINT", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH"),
    *("UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_LINK_MODE", "UV_OVERRIDE", "UV_PYTHON", "UV_REQUIRE_HASHES"),
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
CAUSES = [  # what pip or uv says, what that means, what helps
    (
        r"No space left|os error 28|Errno 28|Disk quota|os error 122",
        "the disk is full; a venv takes 1.3 GB, and uv's cache as much",
        "df -h . ~/.cache; free some space, then: make venv",
    ),
    (
        r"[Hh]ash(es)? (mismatch|do not match)|THESE PACKAGES DO NOT MATCH",
        "a package is not the one that is locked; which one: above",
        "rm -rf ~/.cache/uv && make venv; if it stays, do not trust where it comes from (pip config list)",
    ),
    (
        r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "a certificate is not trusted: a proxy here signs with its own authority",
        "pip config set global.cert /path/to/its/certificates.pem (or add it to the system's), then: make venv",
    ),
    (
        r"dns error|name resolution|Name or service not known|unreachable|[Cc]onnection|[Tt]imed? ?out"
        r"|error sending request|Failed to fetch",
        "packages cannot be fetched: there is no network, or none that reaches the package index",
        "connect this machine, or point pip at a mirror (pip config set global.index-url …), then: make venv",
    ),
    (
        r"No solution found|No matching distribution|was not found in the p",
        "a locked package is not offered, for this Python and machine, by where pip is told to look",
        "pip config list; correct its index, or add what is missing to its find-links (which: above); then: make venv",
    ),
]


class CannotBuild(Exception):
    """Why there is no venv, and the command that helps."""

    def __init__(self, why, fix):
        super().__init__(why)
        self.fix = fix


def base_torch():
    """Return (version, folder) of the torch that the base layer's interpreter sees, or None."""
    for folder in map(Path, sys.path):
        for info in folder.glob("torch-*.dist-info"):
            return info.name[len("torch-") : -len(".dist-info")], folder
    return None


def key():
    """Return the key as lines of `name value`; the first is the digest of the others."""
    torch = base_torch()
    lines = [
        f"python {sys.executable}",
        f"prefix {sys.prefix} {sys.base_prefix}",
        f"version {' '.join(sys.version.split())}",
        f"machine {platform.machine()}",
        "torch {} {}".format(*torch) if torch else "torch env/torch-cpu.txt",
        f"image {os.environ.get('LAB_IMAGE', 'none')}",
        f"repository {Path.cwd()}",  # the project is installed editable, by its path
    ]
    lines += [f"{name} {hashlib.sha256(Path(name).read_bytes()).hexdigest()}" for name in SPECIFICATION]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return "\n".join([f"sha256 {digest}", *lines])


def pip_settings(environment):
    """Return what pip is configured with, by option name; uv does not read pip's configuration."""
    command = [sys.executable, "-m", "pip", "config", "list"]
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
    pip = pip_settings(environment)
    return {
        **{variable: ",".join(pip[option].split()) for option, variable in UV_NAMES.items() if pip.get(option)},
        # All its indexes are equal to pip, and to us: the hash decides, never the source.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        # As pip does; a proxy's own authority is among the system's. Where there are none, uv has its own.
        "UV_SYSTEM_CERTS": str(any(map(os.path.exists, SYSTEM_CERTIFICATES))).lower(),
        **environment,
    }


def run_watched(command, environment, show=True):
    """Run a command and pass on what it says to stderr as it says it; raise CannotBuild with the cause."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        if show and not NOISE.match(line):
            print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
    if process.wait() == 0:
        return
    program = Path(command[0]).name
    for pattern, why, fix in CAUSES:
        if re.search(pattern, "".join(said)):
            raise CannotBuild(why, fix)
    if process.returncode < 0:
        raise CannotBuild(f"{program} was ended by signal {-process.returncode}", "make venv")
    raise CannotBuild(f"{program} failed with status {process.returncode}; its message is above", "make venv")


def need_pip(environment):
    """Raise CannotBuild unless the base layer's interpreter has pip, after trying to install it."""
    command = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(command, env=environment, capture_output=True).returncode == 0:
        return
    if sys.prefix != "/usr":
        raise CannotBuild(f"{sys.executable} has no pip", f"{sys.executable} -m ensurepip, then: make venv")
    # Debian and Ubuntu ship their python3 without it.
    subprocess.run(["env/system.sh", "python3-pip"], check=True)
    if subprocess.run(command, env=environment, capture_output=True).returncode:
        raise CannotBuild(f"{sys.executable} has no pip", "sudo apt-get install -y python3-pip, then: make venv")


def find_uv(environment):
    """Return the path of the locked uv: the image's, or one that pip installs by hash into the user's cache once."""
    if UV_IN_IMAGE.exists() and in_image():
        return UV_IN_IMAGE
    need_pip(environment)
    lock = hashlib.sha256(Path("env/uv.txt").read_bytes()).hexdigest()
    try:
        cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a uid without a name, and no HOME
        raise CannotBuild("there is no home folder to keep uv in", "export HOME=/a/folder/that/is/yours") from None
    folder = cache / "robotics-lab" / f"uv-{lock[:12]}-{platform.machine()}"
    uv = folder / "bin/uv"
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    options = ["--quiet", "--disable-pip-version-check", "--target", fresh, *LOCKED, "env/uv.txt"]
    try:
        if uv.exists():
            return uv
        print("venv: fetching uv", file=sys.stderr, flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The two settings may also come from pip's files, which the environment outweighs.
        own = {**environment, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
        run_watched([sys.executable, "-m", "pip", "install", *options], own)
        if not uv.exists():
            fresh.rename(folder)
    except OSError as reason:
        why = f"uv cannot be kept in {folder.parent}: {reason.strerror}"
        raise CannotBuild(why, "make verify XDG_CACHE_HOME=/a/folder/that/is/yours") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return uv


def install_packages(uv, folder, environment):
    """Make a venv in `folder` and install the locks into it: the project layer only, where the base has torch."""
    environment = uv_environment(environment)
    no_index = (
        ["--no-index"] if environment.get("PIP_NO_INDEX", "").lower() in ("1", "on", "t", "true", "y", "yes") else []
    )

    def install(*arguments, show=True):
        # Copies, not links: an edit or a fault in this venv must not reach the cache and so the next.
        options = ["--python", f"{folder}/bin/python", "--link-mode=copy", *no_index]
        print(f"venv: installing {arguments[-1]}", file=sys.stderr, flush=True)
        run_watched([uv, "pip", "install", *options, *arguments], environment, show)

    options = ["--quiet", "--relocatable", "--system-site-packages", "--no-project", "--prompt", "robotics-lab"]
    run_watched([uv, "venv", *options, "--python", sys.executable, folder], environment)
    if sys.prefix != sys.base_prefix:
        # --system-site-packages means those of the interpreter under the base layer's own venv.
        inherited = [path for path in sys.path if Path(sys.prefix) in Path(path).parents and Path(path).is_dir()]
        site_packages = next(Path(folder).glob("lib/python*/site-packages"))
        (site_packages / "base-layer.pth").write_text("".join(f"{path}\n" for path in inherited))
    install(*LOCKED, "requirements.txt")
    if not base_torch():
        install_torch(install, environment.get("UV_FIND_LINKS"), no_index)
        install(*LOCKED, "env/torch-cpu-needs.txt")


def in_image():
    """Say whether the image holds the packages that this key asks for, ready to be copied."""
    stamp = IN_IMAGE / ".requirements_hash"
    elsewhere = ("sha256 ", "image ", "repository ")  # what differs between the image and a repository in it
    wanted = [line for line in key().splitlines() if not line.startswith(elsewhere)]
    return stamp.exists() and wanted == [
        line for line in stamp.read_text().splitlines() if not line.startswith(elsewhere)
    ]


def build(folder):
    """Build a venv in `folder`, with the project if it is here, and have it prove itself."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    python = f"{folder}/bin/python"
    uv = find_uv(environment)
    if in_image():
        print("venv: copying the image's packages", file=sys.stderr, flush=True)
        run_watched(["cp", "--archive", "--no-preserve=ownership", IN_IMAGE, folder], environment)
        for name in (".inventory", ".requirements_hash"):
            (Path(folder) / name).unlink()
    else:
        install_packages(uv, folder, environment)
    if Path("checks").is_dir():  # the image is built without the project, which changes more often
        print("venv: installing the project", file=sys.stderr, flush=True)
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        run_watched([uv, "pip", "install", "--python", python, *options, "--editable", "."], environment)
    proof = subprocess.run(
        [python, "-B", "env/prove.py", *map(str, base_torch() or ())],
        env={**environment, "PYTHONNOUSERSITE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if proof.returncode:
        raise CannotBuild("the new environment did not prove itself; its message is above", "make venv")
    (Path(folder) / ".proof").write_text(proof.stdout)


def install_torch(install, find_links, no_index):
    """Install torch's CPU wheel: from find-links without asking an index, else from torch's own index."""
    lock = "env/torch-cpu.txt"
    if no_index:
        return install(*LOCKED, lock)
    if find_links:
        try:
            return install("--no-index", *LOCKED, lock, show=False)
        except CannotBuild:
            print("venv: find-links has no torch for this machine; asking torch's index", file=sys.stderr)
    index = re.search(r"^# index: (\S+)", Path(lock).read_text(), re.MULTILINE).group(1)
    return install("--default-index", index, *LOCKED, lock)


def main(arguments):
    """Print the key, or build; return the exit status."""
    if sys.version_info[:2] not in SUPPORTED:
        names = ", ".join("{}.{}".format(*version) for version in SUPPORTED)
        print(
            f"error: python {platform.python_version()} ({sys.executable}) is not one of {names}",
            file=sys.stderr,
        )
        print("fix: make verify PYTHON=python3.12, or any of these that is installed", file=sys.stderr)
        return 3
    if arguments == ["key"]:
        print(key())
        return 0
    try:
        build(arguments[1])
    except KeyboardInterrupt:
        print("venv: interrupted; the old one, if any, is untouched", file=sys.stderr)
        return 130
    except CannotBuild as reason:
        print(f"error: venv: {reason}\nfix: {reason.fix}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
