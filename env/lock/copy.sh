#!/usr/bin/env bash
# Copies what the lab runs from into FOLDER, which must not exist: a candidate is tried there, a bare clone measured.
#
#     env/lock/copy.sh FOLDER
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
mkdir -- "${1:?}"
cp -R -- Makefile *.md *.toml requirements.* checks docker env "$1"
find "$1" -name __pycache__ -prune -exec rm -rf -- {} +
