#!/usr/bin/env bash
# Removes what the lab made in this clone. A venv is removed only if the lab made it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
: "${VENV:=.venv}"

for venv in "$VENV" "$VENV.new" "$VENV.old" "$VENV.parked"; do
  [[ ! -e $venv/pyvenv.cfg || $(<"$venv/pyvenv.cfg") != *'prompt = robotics-lab'* ]] || rm -rf -- "$venv"
done
rm -rf -- "$VENV.lock" proof smoke_frame.png ppo_smoke.zip .smoke_frame-* .ppo_smoke-* ./*.egg-info checks/__pycache__ .pytest_cache .ruff_cache
