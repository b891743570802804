"""The lab in podman: image, door and a check; without a daemon, and so not in tests/docker/."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import ExitStack

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


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podman_that_waits_for_another_is_named(clone, tmp_path):
    """The other one, which hangs, holds the locks of the store."""
    settings = tmp_path / "storage.conf"
    settings.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    clone.environment |= {"CONTAINERS_STORAGE_CONF": str(settings), "ENGINE": "podman", "EXPECT": "cpu"}
    clone.ok("podman", "image", "ls")
    clone.shorten_patience()
    with ExitStack() as held:
        for path in (tmp_path / "graph").rglob("*.lock"):
            fcntl.lockf(held.enter_context(path.open("r+")), fcntl.LOCK_EX)
        run = clone.run("timeout", "--kill-after=1", "20", "make", "image")
        doctor = clone.run("timeout", "--kill-after=1", "20", "make", "doctor")
    error = "error: ENGINE=podman does not answer: podman hangs: no answer in 1 s\nfix: pgrep -a podman; "
    assert error in run.stderr, run.stderr
    assert "hangs       podman server         no answer in 1 s; fix: pgrep -a podman; " in doctor.stdout


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
