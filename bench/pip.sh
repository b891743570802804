#!/usr/bin/env bash
# Makes the lab's venv in FOLDER, $1, as one would without the lab: the stock venv, pip, and the same locks.
set -euo pipefail
base=$(sed -n 's/^python //p' "${VIRTUAL_ENV:?}/.requirements_hash")
locks=(-r requirements.txt)
if grep -qx 'torch env/torch-cpu.txt' "$VIRTUAL_ENV/.requirements_hash"; then # the base layer has none
  locks+=(-r env/torch-cpu.txt -r env/torch-cpu-needs.txt)
  if [[ -z ${PIP_FIND_LINKS:-} ]] && ! "$base" -m pip config get global.find-links &>/dev/null; then
    locks+=(--extra-index-url "$(sed -n 's/^# index: //p' env/torch-cpu.txt)")
  fi # else the wheel is where pip is told to look, and that index may be out of reach
fi
"$base" -m venv --system-site-packages "${1:?}"
PIP_CONSTRAINT='' "$1/bin/pip" install --quiet --disable-pip-version-check "${locks[@]}"
