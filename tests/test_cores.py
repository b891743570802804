"""How many cores the lab may use is what the affinity and the cgroups leave it, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks import cores

PERIOD = 100_000  # microseconds


@pytest.fixture
def sixteen(monkeypatch):
    """A machine of sixteen cores, all of which the affinity allows."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


def allowed(folder: Path, membership: str, files: dict[str, str]) -> int:
    """What cores.allowed() says where /proc/self/cgroup and the files below /sys/fs/cgroup read so."""
    for name, text in files.items():
        (folder / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup" / name).write_text(f"{text}\n")
    (folder / "membership").write_text(f"{membership}\n")
    return cores.allowed(folder / "membership", folder / "cgroup")


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 16),
        ({"job/step/cpu.max": f"max {PERIOD}"}, 16),
        ({"job/step/cpu.max": f"{2 * PERIOD} {PERIOD}"}, 2),
        ({"job/step/cpu.max": f"{PERIOD // 2} {PERIOD}"}, 1),
        ({"job/step/cpu.max": f"max {PERIOD}", "job/cpu.max": f"{5 * PERIOD // 2} {PERIOD}"}, 3),
        ({"cpu.max": f"{2 * PERIOD} {PERIOD}"}, 2),  # a container that is told the host's path
    ],
)
@pytest.mark.usefixtures("sixteen")
def test_quota_of_the_cgroup_or_one_above_counts(tmp_path, files, count):
    assert allowed(tmp_path, "0::/job/step", files) == count


@pytest.mark.parametrize(("quota", "count"), [(-1, 16), (3 * PERIOD, 3)])
@pytest.mark.usefixtures("sixteen")
def test_quota_of_cgroup_v1_counts(tmp_path, quota, count):
    files = {f"cpu,cpuacct/job/cpu.cfs_{name}_us": str(value) for name, value in (("quota", quota), ("period", PERIOD))}
    assert allowed(tmp_path, "5:memory:/job\n4:cpu,cpuacct:/job\n0::/job", files) == count


def test_affinity_counts():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores.allowed() == 1
    finally:
        os.sched_setaffinity(0, before)
