"""make doctor answers always: what hangs is a row of its table. The rest of it: tests/docker/test_doctor.py."""

from __future__ import annotations

import re
import time

import pytest


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["hangs", "ignores-TERM"])
def test_doctor_answers_where_nvidia_smi_hangs(clone, tmp_path, trap):
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/bash\n{trap}for _ in {{1..100}}; do sleep 1; done\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    clone.shorten_patience()
    started = time.monotonic()
    run = clone.run("make", "doctor", EXPECT="gpu", PATH=f"{tmp_path}:{clone.environment['PATH']}")
    assert time.monotonic() - started < 20
    assert run.returncode == 2
    row = r"^hangs +NVIDIA driver +no answer in 1 s; fix: sudo dmesg \| grep -i -e nvrm -e xid; sudo reboot$"
    assert re.search(row, run.stdout, re.MULTILINE), run.stdout
    assert re.search(r"^ok +disk ", run.stdout, re.MULTILINE)


def test_doctor_takes_no_error_of_nvidia_smi_for_a_driver(clone, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    run = clone.run("make", "doctor", EXPECT="gpu", PATH=f"{tmp_path}:{clone.environment['PATH']}")
    assert re.search(r"^missing +NVIDIA driver ", run.stdout, re.MULTILINE), run.stdout
