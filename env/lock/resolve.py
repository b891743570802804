"""Resolve what the lab asks for into what it gets, for every Python and machine that the lab supports.

uv chooses the versions, for the oldest Python, and pip-compile writes the lock of exactly these: by itself it
resolves for the Python that runs it, and a container's 3.12 would lock a numpy that 3.11 cannot have. Both begin from
the present locks, so a pin that still satisfies the bounds stays.
"""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from packaging.specifiers import SpecifierSet

from env.uv import Trouble, run_watched

ROOT = Path(__file__).resolve().parent.parent.parent
REQUIRES_PYTHON = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
PYTHONS = [python for python in (f"3.{minor}" for minor in range(8, 40)) if python in REQUIRES_PYTHON]  # oldest first
MACHINES = ["x86_64", "aarch64"]
GLIBC = "manylinux_2_31"  # of Debian 11 and Ubuntu 20.04: wheels for this and older ones are taken
TORCH_CPU = "env/torch-cpu.txt"
# torch 2.13's own Requires-Dist; what requirements.txt pins is left out. env/venv_contents.py compares.
TORCH_NEEDS = ["filelock", "typing-extensions", "setuptools", "sympy", "networkx", "jinja2", "fsspec"]
SOURCES = {  # lock, and what it is resolved from
    "requirements.txt": "requirements.in",
    "env/torch-cpu-needs.txt": TORCH_NEEDS,
    "env/uv.txt": ["uv"],
    "env/lock/pip-audit.txt": ["pip-audit"],
}
HEADER = """\
# Made by `make lock` from {source}. For:
# python: {pythons}
# machine: {machines}
# torch: {torch}
"""


def pins(text: str) -> dict[str, str]:
    """Name to version of every `name==version` in a requirements file's text."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


def hashes(text: str) -> dict[str, set[str]]:
    """Name to the sha256 of its files, of every pin in a lock's text."""
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    return {block.partition("==")[0]: set(re.findall(r"sha256:([0-9a-f]{64})", block)) for block in blocks}


def without(lock: str, names: Container[str]) -> str:
    """Return the text of `lock` less the pins of `names`."""
    head, *blocks = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)
    return head + "".join(block for block in blocks if block.partition("==")[0] not in names)


class Resolver:
    """uv and pip-compile, in a folder of their own; `torch` is the version that the base layer has."""

    def __init__(self, uv: Path, environment: dict[str, str], folder: Path, torch: str):
        self.uv = uv
        self.folder = folder
        self.torch = torch
        self.environment = environment
        self.options = ["--only-binary=:all:", f"--excludes={self.write('base-layer.txt', 'torch')}"]
        self.options += ["--no-index"] if environment.get("PIP_NO_INDEX") else []

    def write_stub(self) -> str:
        """Write a wheel named torch that needs nothing; return the requirement that only it satisfies.

        pip-compile cannot leave a package out as uv can: without the stub it would lock torch's own needs (nvidia-*,
        triton). The local version is one that no index has.
        """
        version = f"{self.torch.partition('+')[0]}+base.layer"
        info = f"torch-{version}.dist-info"
        with zipfile.ZipFile(self.folder / f"torch-{version}-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return f"torch=={version}"

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def compile(self, source: str | list[str], present: str, *options: str) -> str:
        """Resolve requirements (a file's name, or names); return the pins with the hashes of all their files.

        A pin of `present`, a lock's text, stays where it can. Raises Trouble; its `said` is the reason in uv's words.
        """
        if isinstance(source, list):
            source = str(self.write("in.txt", "\n".join(source)))
        lock = self.write("out.txt", present)
        platform = [f"--python-version={PYTHONS[0]}", f"--python-platform={MACHINES[0]}-{GLIBC}"]
        form = ["--generate-hashes", "--no-header", "--annotation-style=split", f"--output-file={lock}"]
        command = [self.uv, "pip", "compile", "--quiet", *self.options, *platform, *form, *options, source]
        run_watched(command, self.environment, show=False, again="make lock")
        return re.sub(r"-r \S*/in\.txt", "make lock", lock.read_text())

    def pip_compile(self, source: str, chosen: str) -> str:
        """Return the lock of `source` that pip-compile writes of the versions in `chosen`, a lock. Raises Trouble."""
        lock = self.write("out.txt", chosen)  # whose pins it keeps
        stub = self.write("stub.txt", self.write_stub())
        form = ["--strip-extras", "--generate-hashes", "--no-header", "--unsafe-package=torch", f"--output-file={lock}"]
        form += [f"--no-emit-{what}" for what in ("options", "index-url", "find-links", "trusted-host")]
        bounds = [f"--constraint={stub}", f"--find-links={self.folder.as_uri()}"]
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", *form, *bounds, source]
        run_watched(command, self.environment, show=False, again="make lock")
        if others := pins(chosen).keys() - pins(lock.read_text()).keys():  # another Python needs them, and this one not
            asked = str(self.write("other-pythons.in", "\n".join(sorted(others))))
            lock.write_text(chosen)
            run_watched([*command, asked], self.environment, show=False, again="make lock")
        text = re.sub(r"-r \S*/other-pythons\.in", "another Python", lock.read_text())
        return text.partition("\n# WARNING")[0].rstrip() + "\n"  # it warns there that torch is not pinned

    def locks(self, *options: str, check: bool = False) -> dict[str, str]:
        """Return the text of every lock, by name. Raises Trouble.

        `check`: with the present pins and no others, and with the hashes that are served now.
        """
        texts: dict[str, str] = {}
        for name, source in SOURCES.items():
            present = (ROOT / name).read_text() if (ROOT / name).exists() else ""
            bounds = []
            if name == "env/torch-cpu-needs.txt":
                bounds.append(f"--constraints={self.write('main.txt', texts['requirements.txt'])}")
            if check:
                held = "".join(f"{pin}=={version}\n" for pin, version in pins(present).items())
                bounds += ["--refresh", f"--constraints={self.write('held.txt', held)}"]
            text = self.compile(source, "" if check else present, *bounds, *options)
            if name == "requirements.txt" and not check:
                text = self.pip_compile(source, text)
            if name == "env/torch-cpu-needs.txt":
                text = without(text, pins(texts["requirements.txt"]))
            header = HEADER.format(
                source=source if isinstance(source, str) else ", ".join(source),
                pythons=" ".join(PYTHONS),
                machines=" ".join(MACHINES),
                torch=f"{self.torch}, or the base layer's own",
            )
            texts[name] = header + text
        return texts

    def platforms(self, locks: dict[str, str]) -> None:
        """See that `locks` can be installed, and lack nothing, for every Python and machine. Raises Trouble."""
        main = "".join(text for name, text in locks.items() if name != "env/lock/pip-audit.txt")
        files = [self.write("all.txt", main)]
        if "env/lock/pip-audit.txt" in locks:
            files.append(self.write("audit.txt", locks["env/lock/pip-audit.txt"]))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda case: self.would_install(*case), product(files, PYTHONS, MACHINES)))

    def would_install(self, lock: Path, python: str, machine: str, *options: str) -> None:
        """See that a lock can be installed for a Python and a machine, its packages' needs included. Raises Trouble."""
        target = [f"--target={self.folder}/none", f"--python-version={python}", f"--python-platform={machine}-{GLIBC}"]
        command = [self.uv, "pip", "install", "--quiet", "--dry-run", "--require-hashes", *target, *self.options]
        try:
            run_watched([*command, *options, f"--requirements={lock}"], self.environment, show=False, again="make lock")
        except Trouble as trouble:
            if "No solution" in trouble.said or "no trusted hash" in trouble.said:
                why = f"the candidate cannot be installed on Python {python}, {machine}: {reason(trouble.said)}"
                raise Trouble(why, "change the bounds in requirements.in, then: make lock") from None
            raise


def reason(said: str) -> str:
    """Return uv's own reason for finding no solution, on one line."""
    text = " ".join(said.split())
    text = re.sub(r"^error: |No solution found when resolving dependencies:?|cause: |╰─▶|×", "", text)
    return re.sub(r" hint: .*", "", text).strip()
