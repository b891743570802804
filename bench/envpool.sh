#!/usr/bin/env bash
# Puts EnvPool into a venv of its own, FOLDER: the lab is measured against it, and has no part of it.
#
#     bench/envpool.sh FOLDER
set -euo pipefail
folder=${1:?}
[[ ! -e $folder/.ready ]] || exit 0
rm -rf -- "$folder"
python -m venv "$folder"
PIP_CONSTRAINT='' "$folder/bin/pip" install --quiet --only-binary=:all: envpool==1.2.5
touch "$folder/.ready"
