"""Lock, kit and base pins with a container engine: the same verbs, the same outcome."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.request

import pytest
from conftest import ROOT
from engines import BASE, boxed, docker, docker_daemon, registry


@pytest.fixture(scope="module")
def pinned(place, daemon):
    """A registry of our own with an index of the base image for both architectures; yields address and push()."""
    with registry(place / "registry for pins", 5018) as address:
        name = f"{address}/base"
        docker(daemon, "tag", BASE, f"{name}:amd64")
        manifest = re.search(r"sha256:[0-9a-f]{64}", docker(daemon, "push", f"{name}:amd64")).group()
        request = urllib.request.Request(f"http://{address}/v2/base/manifests/{manifest}")
        request.add_header("Accept", "application/vnd.docker.distribution.manifest.v2+json")
        size = len(urllib.request.urlopen(request).read())

        def push(note: str, architectures: tuple[str, ...] = ("amd64", "arm64")) -> str:
            """Put an index at the tag `stable`: both architectures are this machine's image. Returns its digest."""
            kind = "application/vnd.docker.distribution.manifest.list.v2+json"
            entry = {
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "size": size,
                "digest": manifest,
            }
            platforms = [{"platform": {"os": "linux", "architecture": name}} for name in architectures]
            index = {"schemaVersion": 2, "mediaType": kind, "manifests": [entry | item for item in platforms]}
            body = json.dumps(index | {"note": note}).encode()
            put = urllib.request.Request(f"http://{address}/v2/base/manifests/stable", data=body, method="PUT")
            put.add_header("Content-Type", kind)
            urllib.request.urlopen(put)
            return f"{name}:stable@sha256:{hashlib.sha256(body).hexdigest()}"

        yield push


@pytest.fixture(scope="module")
def clone(place, daemon, pinned):
    """A clone whose pinned base image is in that registry."""
    clone = boxed(place / "locking, boxed", daemon)
    clone.environment.pop("BASE_IMAGE")
    pins = clone.path / "docker/base-images.txt"
    pins.write_text(re.sub(r"^cpu .*$", f"cpu {pinned('first')}", pins.read_text(), flags=re.MULTILINE))
    clone.ok("make", "image")
    return clone


LOCKS = ("requirements.txt", "env/uv.txt", "env/lock/pip-audit.txt")


def test_lock_is_the_same_in_the_container(clone):
    before = {name: (clone.path / name).read_bytes() for name in LOCKS}
    assert clone.ok("make", "lock").stdout == "lock: nothing changes\n"
    assert {name: (clone.path / name).read_bytes() for name in before} == before
    assert not list(clone.path.glob(".lock.*"))


@pytest.mark.slow
def test_refusal_is_the_same_in_the_container(clone):
    before = {name: (clone.path / name).read_bytes() for name in LOCKS}
    source = clone.path / "requirements.in"
    text = source.read_text()
    source.write_text(re.sub(r"^mujoco.*$", "mujoco", text, flags=re.MULTILINE))
    run = clone.run("make", "lock", PACKAGE="mujoco")
    source.write_text(text)
    assert run.returncode != 0
    assert "+mujoco==4.0.0" in run.stdout
    assert "error: lock: the candidate fails check_mujoco: " in run.stderr, run.stderr
    assert "lock: refused; nothing has changed" in run.stderr
    assert {name: (clone.path / name).read_bytes() for name in before} == before
    assert not list(clone.path.glob(".lock.*"))


@pytest.mark.slow
def test_base_images_digest_is_refreshed_when_the_lab_lives_on_it(clone, pinned):
    pins = clone.path / "docker/base-images.txt"
    old = pins.read_text()
    torch = 'sed -i "s|python -m env.lock torch|true|" env/lock/base_image.sh'  # its index is not always in reach
    clone.ok("bash", "-c", torch)
    assert "base: nothing changes: " in clone.ok("make", "lock-base").stdout
    lone = pinned("one machine's", ("amd64",))
    run = clone.run("make", "lock-base")
    assert run.returncode != 0 and pins.read_text() == old
    assert f"error: base: {lone.partition('@')[0]} is not an index of x86_64 and aarch64" in run.stderr
    new = pinned("second")
    run = clone.ok("make", "lock-base")
    assert f"\n  +{new}\n" in run.stdout and "base: pinned" in run.stdout
    assert pins.read_text() == re.sub(r"^cpu .*$", f"cpu {new}", old, flags=re.MULTILINE)
    assert not list(clone.path.glob(".lock.*"))
    assert (ROOT / "docker/base-images.txt").read_text() != pins.read_text()


@pytest.mark.slow
def test_kit_with_the_image_runs_on_a_machine_without_a_network(box, place):
    """A second daemon, cut off: it has no image at all but the one in the kit, nor what its base is."""
    run = box.ok("make", "kit", IMAGE="1", KIT="kit")
    assert run.stdout.endswith(f" · on the other machine: make verify KIT=… BASE_IMAGE={BASE}\n")
    kit = box.path / "kit"
    assert (kit / "image.tar").stat().st_size > 1e8
    with docker_daemon(place / "cut off with a kit", network=False) as host:
        archive = (kit / "image.tar").read_bytes()[:512]
        with (kit / "image.tar").open("r+b") as file:
            file.write(bytes([archive[0] ^ 1]))
        run = box.run("make", "image", KIT="kit", DOCKER_HOST=host)
        with (kit / "image.tar").open("r+b") as file:
            file.write(archive)
        assert "image.tar has another checksum than the kit says: it was changed, or copied badly\nfix: " in run.stderr
        run = box.ok("make", "check-render", KIT="kit", DOCKER_HOST=host, VENV=".venv-cut-off")
    assert "image: loading " in run.stderr and "image: building" not in run.stderr
    words = [line.split()[:2] for line in run.stdout.splitlines()]
    assert words == [["ok", "image"], ["ok", "venv"], ["skip", "gpu"], ["ok", "mujoco"], ["ok", "render"]]


def test_kits_image_on_a_base_given_by_tag_needs_no_pull(place, daemon):
    """A kit written by hand, whose image is small, for a machine that has neither network nor base image."""
    maker = boxed(place / "kit maker", daemon)
    recipe = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
    (maker.path / "docker/Dockerfile").write_text(recipe)
    tag = re.search(r"robotics-rl:\w+", maker.ok("make", "image").stdout).group()
    kit = maker.path / "kit"
    kit.mkdir()
    (kit / "kit.txt").write_text("")
    docker(daemon, "save", "--output", str(kit / "image.tar"), tag)
    (kit / "SHA256SUMS").write_text(f"{hashlib.sha256((kit / 'image.tar').read_bytes()).hexdigest()}  image.tar\n")
    with docker_daemon(place / "cut off with a tag", network=False) as host:
        run = maker.ok("make", "image", KIT="kit", DOCKER_HOST=host)
        assert tag in run.stdout and "image: fetching" not in run.stderr
        assert maker.ok("make", "image", DOCKER_HOST=host).stderr == ""  # without the kit, from then on
        (maker.path / "docker/Dockerfile").write_text(recipe + "RUN true\n")
        run = maker.run("make", "image", KIT="kit", DOCKER_HOST=host)
        assert "image: the kit's image does not fit" in run.stderr
        assert "error: image: the build cannot reach the network\nfix: " in run.stderr


@pytest.mark.slow
def test_image_is_built_with_the_kits_wheels(box, clone):
    """Its system packages would come from the network all the same; docs/troubleshooting.md says so."""
    (clone.path / "pyproject.toml").open("a").write("# a change\n")
    run = clone.ok("make", "image", KIT=str(box.path / "kit"), PIP_INDEX_URL="http://127.0.0.1:9/nowhere")
    assert "image: building" in run.stderr and "the kit's image does not fit" in run.stderr
