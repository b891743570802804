"""make doctor: what is there and does not work is missing, too. The rest of it: tests/docker/test_doctor.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from conftest import Clone, in_namespace


def rows(clone: Clone, mounts: str = "true", **environment: str) -> dict[str, str]:
    """What each row says, state first."""
    run = clone.run(*in_namespace(mounts, "make", "--silent", "doctor"), **environment)
    found = re.findall(r"^(ok|hangs|missing|not needed) +(\S.*?)(?:  +|$)(.*)", run.stdout, re.MULTILINE)
    return {what: f"{state} {said}".strip() for state, what, said in found}


def test_doctor_finds_what_is_there_and_does_not_work(clone, tmp_path):
    """A read-only clone, a full disk with the cache, an empty library, a lock for no Python."""
    known = re.search(r"libOSMesa\.so\.8 .* => (.+)", clone.ok("/sbin/ldconfig", "-p").stdout)
    if not known:
        pytest.skip("libOSMesa is not installed here")
    lock = clone.path / "requirements.txt"
    lock.write_text(lock.read_text().replace("# python: ", "# pythons: "))
    cache = tmp_path / "cache"
    cache.mkdir()
    mounts = f"mount -t tmpfs -o size=1m tmpfs '{cache}'; mount --bind /dev/null '{known[1]}'\n"
    mounts += f"mount --bind '{clone.path}' '{clone.path}'; mount -o remount,bind,ro '{clone.path}'"
    found = rows(clone, mounts, XDG_CACHE_HOME=str(cache / "not made yet"))
    assert found["clone"] == f"missing fix: cp -a '{clone.path}' /a/local/disk, and work there"
    assert re.fullmatch(rf"missing fix: free [12] GB on {cache}; or XDG_CACHE_HOME=/a/folder/of/yours", found["cache"])
    assert found["libOSMesa.so.8"].startswith("missing fix: sudo env/system/install.sh --reinstall libosmesa6")
    assert found["libEGL.so.1"].startswith("ok /")
    why = "requirements.txt does not say for which Pythons and machines it is made"
    assert found["python"] == f"missing fix: git checkout requirements.txt  ({why})"


def test_doctor_says_where_it_may_not_write_and_asks_no_socket_of_a_server_elsewhere(clone, tmp_path):
    mounts, cache = f"mount -t tmpfs -o ro tmpfs '{tmp_path}/cache'", tmp_path / "cache"
    cache.mkdir()
    found = rows(clone, mounts, XDG_CACHE_HOME=str(cache), ENGINE="docker", DOCKER_HOST="tcp://127.0.0.1:1")
    assert found["cache"] == f"missing fix: XDG_CACHE_HOME=/a/folder/of/yours  ({cache}/robotics-lab is not writable)"
    assert found["docker socket"] == "not needed"
    assert found["clone"] == f"ok {clone.path} is yours to write"


def test_doctor_finds_a_lab_without_an_engine_in_order(lab):
    found = rows(lab)
    assert found["python"].startswith("ok 3.") and found["cache"].startswith(f"ok {os.environ['LAB_TESTS_CACHE']}")
    assert Path(found["libOSMesa.so.8"].removeprefix("ok ")).exists()
