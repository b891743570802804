#!/usr/bin/env bash
# Makes the lab's venv in FOLDER, $1, as one would without the lab: the stock venv, pip, and the same locks. With `torch` for
# $2 its own torch too, from the CPU wheel; else over the base layer that the lab's venv stands on, whose torch may ask for
# other versions than the lock has, so that pip must not look.
set -euo pipefail
python=$(sed -n 's/^python //p' "${VIRTUAL_ENV:?}/.requirements_hash")
locks=(--no-deps -r requirements.txt)
"$python" -m venv --system-site-packages "${1:?}"
if [[ ${2:-} == torch ]]; then
  locks=(-r requirements.txt -r env/torch-cpu.txt -r env/torch-cpu-needs.txt)
  if [[ -z ${PIP_FIND_LINKS:-} ]] && ! "$python" -m pip config get global.find-links &>/dev/null; then
    locks+=(--extra-index-url "$(sed -n 's/^# index: //p' env/torch-cpu.txt)")
  fi # else the wheel is where pip is told to look, and that index may be out of reach
else
  pth=("$VIRTUAL_ENV"/lib/python*/site-packages/base-layer.pth)
  [[ ! -e ${pth[0]} ]] || cp -- "${pth[0]}" "$1"/lib/python*/site-packages
fi
PIP_CONSTRAINT='' "$1/bin/pip" install --quiet --disable-pip-version-check "${locks[@]}"
