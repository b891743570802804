"""Libraries that check_render needs, taken out of an image for real and brought back by what it prints."""

from __future__ import annotations

import re

import pytest
from engines import docker
from verdicts import injects


@injects("render.egl.library-missing", "an image without libegl1, without libgl1", "env/system/install.sh libegl1")
@injects(
    "render.osmesa.library-missing",
    "MUJOCO_GL=osmesa in an image without libosmesa6",
    "env/system/install.sh libosmesa6",
)
@injects(
    "render.egl.no-driver", "an image without Mesa's vendor file", "env/system/install.sh --reinstall libegl-mesa0 …"
)
@pytest.mark.parametrize(
    ("removal", "setting", "word", "cause"),
    [
        ("apt-get remove -y libegl1", "MUJOCO_GL=egl", "degraded", "render.egl.library-missing"),
        ("apt-get remove -y libgl1", "MUJOCO_GL=egl", "degraded", "render.egl.library-missing"),
        ("apt-get remove -y libegl1 libosmesa6", "MUJOCO_GL=egl", "error", "render.egl.library-missing"),
        ("apt-get remove -y libosmesa6", "MUJOCO_GL=osmesa", "error", "render.osmesa.library-missing"),
        ("rm /usr/share/glvnd/egl_vendor.d/50_mesa.json", "MUJOCO_GL=egl", "degraded", "render.egl.no-driver"),
    ],
)
def test_missing_library_is_named_and_brought_back(daemon, box, removal, setting, word, cause):
    script = (
        f"unset MUJOCO_GL PYOPENGL_PLATFORM; export {setting}; {removal} >/dev/null 2>&1; "
        "check=(python -m checks.check_render); "
        '"${check[@]}" --out /tmp/frame.png >/tmp/said 2>&1; cat /tmp/said; '
        'fix=$(sed -n "s/^fix: //p" /tmp/said); eval "${fix%%; or*}" >/dev/null 2>&1; '
        'echo mended; "${check[@]}" --out /tmp/frame.png 2>&1'
    )
    image = box.ok("docker/dev.sh", "bash", "-c", "echo $LAB_IMAGE").stdout.strip()
    run = [
        "run",
        "--rm",
        "--env=EXPECT=cpu",
        f'--mount=type=bind,"source={box.path}",target=/workspace',
        "--env=HOME=/tmp",
    ]
    said, _, after = docker(daemon, *run, image, "bash", "-c", script).partition("mended\n")
    assert re.search(rf"^{word}[: ]", said, re.MULTILINE), said
    assert f"[{cause}]" in said and "Traceback" not in said
    # OSMesa, where it draws, has another fault.
    mended = "degraded  render   osmesa " if "osmesa" in cause else "ok        render "
    assert after.startswith(mended) and (mended.startswith("ok") or "[render.second-black]" in after), after
