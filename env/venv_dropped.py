"""Name the packages that go with an old venv, and keep a list of them from which pip installs them again.

    python -I env/venv_dropped.py VENV LIST NAME-VERSION …

Run by env/inventory.sh before a venv is removed, with the packages in it that the lab did not install. Those that the
lock has in another version are not for the list: over the lock's they would damage the new venv.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # which -I leaves out
from env.venv_key import LOCK

del sys.path[0]

HEADER = "# Packages of yours that went with an old venv. To install them again: "


def normal(name: str) -> str:
    """Return a package's name as the lock has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(distribution: Distribution) -> str:
    """Return what installs exactly this, as pip freeze says it: from where it came (PEP 610), else by its version."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    url, name = origin.get("url"), distribution.name
    if not url:
        return f"{name}=={distribution.version}"
    if origin.get("dir_info", {}).get("editable"):
        return f"-e {url}"
    if vcs := origin.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    parts = [f"subdirectory={origin['subdirectory']}"] if "subdirectory" in origin else []
    parts += [f"{kind}={digest}" for kind, digest in origin.get("archive_info", {}).get("hashes", {}).items()]
    return f"{name} @ {url}{'#' * bool(parts)}{'&'.join(parts)}"


def merge(path: Path, lines: list[str], again: str) -> None:
    """Add lines to the list; what it has of the same packages they replace."""
    names = {re.match(r"-e \S+|[\w.-]+", line)[0] for line in lines}
    earlier = path.read_text().splitlines() if path.exists() else []
    earlier = [line for line in earlier if line[:1] != "#" and re.match(r"-e \S+|[\w.-]+", line)[0] not in names]
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text("\n".join([HEADER + again, *sorted({*earlier, *lines}), ""]))
    fresh.replace(path)


def main(venv: str, kept: str, *packages: str) -> int:
    """Write the list, and say what is on it and what is not; return the exit status."""
    folders = [next(Path(venv).glob(f"lib/python*/site-packages/{package}.dist-info")) for package in packages]
    lock = {normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", Path(LOCK).read_text(), re.M)}
    found = [Distribution.at(folder) for folder in folders]
    lines = sorted(pinned(one) for one in found if normal(one.name) not in lock)
    again = f"docker/dev.sh pip install -r '{kept}'"
    if lines:
        try:
            merge(Path(kept), lines, again)
        except OSError as reason:
            why = f"{kept} cannot be written: {reason.strerror}; it is to list your packages, which go with {venv}"
            print(f"error: venv: {why}\nfix: df -h '{venv}'; then: make venv", file=sys.stderr)
            return 1
        print(
            f"warning: venv: of yours, and not in the lock: {', '.join(lines)}; a new venv is without\n"
            f"fix: name them in requirements.in, then: make lock; or install them again: {again}",
            file=sys.stderr,
        )
    for one in found:
        wanted = lock.get(normal(one.name), one.version)
        if wanted != one.version:
            print(
                f"warning: venv: {one.name}=={one.version} of yours becomes the locked {one.name}=={wanted} again\n"
                f"fix: make lock PACKAGE={one.name}=={one.version}",
                file=sys.stderr,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
