"""The traps of NVIDIA's PyTorch image, in a stand-in that has them all."""

from __future__ import annotations

import shutil

import pytest
from conftest import ROOT, on_terminal, torch_wheel
from engines import BASE, Boxed, boxed, docker

STAND_IN = r"""
FROM {base}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-pip python3-numpy >/dev/null
COPY torch*.whl /tmp/
# torch with a pre-release local version, in dist-packages, with an older numpy beside it
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
RUN pip install --quiet filelock sympy networkx jinja2 fsspec typing-extensions \
 && pip install --quiet --no-deps /tmp/torch*.whl \
 && cd /usr/local/lib/python3*/dist-packages && mv torch-*.dist-info torch-{version}.dist-info \
 && sed -i 's/^Version: .*/Version: {version}/' torch-{version}.dist-info/METADATA \
 && sed -i "s/^__version__ = .*/__version__ = '{version}'/" torch/version.py
# pins that contradict the lock
RUN mkdir -p /etc/pip && printf 'numpy==1.24.2\nprotobuf==4.24.4\npip==23.0\n' >/etc/pip/constraint.txt
ENV PIP_CONSTRAINT=/etc/pip/constraint.txt
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
# OSMesa, which newer releases no longer offer
RUN printf 'Package: libosmesa6\nPin: release *\nPin-Priority: -1\n' >/etc/apt/preferences.d/no-osmesa
"""
# with a banner, and a step that matters
ENTRYPOINT = r"""
RUN mkdir -p /opt/nvidia && printf '%s\n' '#!/bin/bash' 'echo == PyTorch ==' 'export CUDA_COMPAT=done' 'exec "$@"' \
  >/opt/nvidia/nvidia_entrypoint.sh && chmod +x /opt/nvidia/nvidia_entrypoint.sh
ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]
"""
NGC_TORCH = "2.10.0a0+b4e4ee81d3.nv25.12"


@pytest.fixture(scope="module")
def ngc(place, daemon, box) -> Boxed:
    """A clone on a base that imitates nvcr.io/nvidia/pytorch, which is not to be had everywhere."""
    context = place / "stand-in"
    context.mkdir()
    wheel = torch_wheel()
    shutil.copy(wheel, context)
    (context / "Dockerfile").write_text(STAND_IN.format(base=BASE, version=NGC_TORCH) + ENTRYPOINT)
    docker(daemon, "build", "-t", "lab-test-base:ngc", str(context))
    clone = boxed(place / "on ngc", daemon)
    clone.environment["BASE_IMAGE"] = "lab-test-base:ngc"
    return clone


@pytest.mark.slow
def test_on_ngc_the_bases_torch_is_used_and_the_locks_versions_imported(ngc):
    run = ngc.ok("make", "check-mujoco")
    assert f"torch {NGC_TORCH} (the base layer's, /usr/local/lib/python3.11/dist-packages)" in run.stdout
    program = (
        "import numpy, google.protobuf, torch; print(numpy.__version__, google.protobuf.__version__, torch.__file__)"
    )
    numpy, protobuf, torch = ngc.ok("docker/dev.sh", "python", "-c", program).stdout.split()
    lock = (ROOT / "requirements.txt").read_text()
    assert f"\nnumpy=={numpy} " in lock and f"\nprotobuf=={protobuf} " in lock
    assert torch == "/usr/local/lib/python3.11/dist-packages/torch/__init__.py"
    assert (
        ngc.inside(
            "ls -d /opt/base/* /opt/lab/lib/python*/site-packages/torch .venv/lib/python*/site-packages/torch; true"
        )
        == ""
    )


def test_on_ngc_the_entrypoint_runs_and_its_banner_stays_out(place, daemon, box):
    """Here on the lab's own image, which is there; the tests below build one on the stand-in."""
    clone = boxed(place / "with a banner", daemon)
    clone.environment["BASE_IMAGE"] = "lab-test-base:banner"
    image = box.inside("echo $LAB_IMAGE")
    docker(daemon, "build", "-t", clone.environment["BASE_IMAGE"], "-", input=f"FROM {image}\n{ENTRYPOINT}")
    docker(daemon, "tag", clone.environment["BASE_IMAGE"], f"robotics-rl:{clone.image_key()}")
    assert clone.inside("echo $CUDA_COMPAT") == "done"
    _, screen = on_terminal(clone, ["bash", "docker/dev.sh"], "exit\n")
    assert "== PyTorch ==" in screen


@pytest.mark.slow
def test_release_without_osmesa_still_renders(ngc):
    assert "libOSMesa" not in ngc.inside("ldconfig -p")
    assert "ok        render   egl · " in ngc.ok("docker/dev.sh", "python", "-m", "checks", "render").stdout


@pytest.mark.slow
def test_on_ngc_graphics_is_among_the_capabilities(ngc):
    assert ngc.inside("echo $NVIDIA_DRIVER_CAPABILITIES") == "all"
