"""The lab in podman: image, door and a check; without a daemon, and so not in tests/docker/."""

from __future__ import annotations

import shutil

import pytest
from conftest import in_namespace
from engines import BASE, base_archive, boxed


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podman_that_cannot_start_a_container_is_named(clone):
    """Podman leaves process 1 of a container to catatonit, a package of its own."""
    hidden = "for folder in /usr/*/podman/; do mount -t tmpfs tmpfs $folder; done"
    run = clone.run(*in_namespace(hidden, "make", "image"), ENGINE="podman")
    assert run.returncode != 0
    error = (
        "error: ENGINE=podman does not answer: catatonit is not installed\nfix: sudo apt-get install -y catatonit; or "
    )
    assert error in run.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podman_core(place):
    """Image, door, uid and a check; its store is the tests' own."""
    clone = boxed(place / "podman", host="unix:///nowhere")
    store = place / "podman store"
    store.mkdir()
    (place / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/graph"\nrunroot = "{store}/run"\n'
    )
    # A user who may not raise limits, as root in a container may not, cannot have podman's defaults.
    (place / "containers.conf").write_text('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n')
    clone.environment |= {
        "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
        "BUILDAH_LAYERS": "false",  # commits less
        "CONTAINERS_CONF": str(place / "containers.conf"),
        "ENGINE": "podman",
        "BASE_IMAGE": f"localhost/{BASE}",
    }
    clone.ok("podman", "import", str(base_archive()), BASE)
    run = clone.ok("make", "check-mujoco")
    assert [line.split()[:2] for line in run.stdout.splitlines()][:2] == [["ok", "image"], ["ok", "venv"]]
    assert clone.ok("make", "image").stderr == ""
    assert clone.inside("whoami; pwd; which python").split() == ["root", "/workspace", "/workspace/.venv/bin/python"]
    assert clone.run("docker/dev.sh", "touch", "/etc/x").returncode != 0
    assert clone.run("docker/dev.sh", "bash", "-c", "exit 7").returncode == 7
