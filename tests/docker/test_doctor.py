"""make doctor: what this machine has and lacks."""

from __future__ import annotations

import re

from engines import Boxed


def rows(clone: Boxed, **environment: str) -> tuple[int, dict[str, str]]:
    run = clone.run("make", "--silent", "doctor", **environment)
    found = re.findall(r"^(ok|missing|not needed) +(\S.*?)(?:  +|$)", run.stdout, re.MULTILINE)
    return run.returncode, {what: state for state, what in found}


def test_doctor_finds_nothing_wrong(box):
    status, found = rows(box)
    assert status == 0
    assert found["docker server"] == found["docker socket"] == found["base image"] == "ok"
    assert found["NVIDIA driver"] == found["container toolkit"] == "not needed"


def test_doctor_names_what_is_missing(box):
    status, found = rows(box, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert status != 0 and found["docker server"] == "missing"
    status, found = rows(box, EXPECT="gpu")
    assert status != 0 and found["NVIDIA driver"] == found["container toolkit"] == "missing"
    status, found = rows(box, ENGINE="local", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert status == 0 and found["docker server"] == "not needed" and found["python"] == "ok"


def test_doctor_changes_nothing(box):
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in box.path.rglob("*"))
    rows(box)
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in box.path.rglob("*")) == before
