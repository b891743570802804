"""Is what was installed what the wheels hold? Each lists the sha256 of its files, in its RECORD.

uv installs from its cache, which it shares by hard links with other projects of the user's: whoever edits a package in
one of these edits what the cache holds. The lock's hashes were compared when the wheel was fetched, and are not again.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 4  # who hashes lets the others run; a venv's 10,000 files take 0.7 s of one core's time, torch's 15,000 0.9 s


def sha256(path: Path) -> str:
    """Return the digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:  # hashlib.file_digest makes a buffer that costs more than a small file
        while block := file.read(1 << 18):
            digest.update(block)
    return digest.hexdigest()


def changed_files(site_packages: Path, lock: Path) -> dict[str, str]:
    """Return, by package of `lock`, a file of it in `site_packages` that is not what its wheel holds."""
    names = re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE)
    entries = []
    for record in site_packages.glob("*.dist-info/RECORD"):
        name = re.sub(r"[-_.]+", "-", record.parent.name.partition("-")[0]).lower()
        if name in names:
            rows = csv.reader(record.read_text().splitlines())
            # RECORD itself and what Python compiles have none.
            entries += [(name, file, digest) for file, digest, _ in rows if digest.startswith("sha256=")]

    def is_right(entry: tuple[str, str, str]) -> bool:
        _, file, digest = entry
        try:
            return sha256(site_packages / file) == base64.urlsafe_b64decode(f"{digest[7:]}=").hex()
        except FileNotFoundError:
            return False

    with ThreadPoolExecutor(THREADS) as pool:
        right = pool.map(is_right, entries)
        return {name: file for (name, file, _), as_recorded in zip(entries, right, strict=True) if not as_recorded}
