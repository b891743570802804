#!/usr/bin/env bash
# Removes what the lab made in this clone. A venv is removed only if the lab made it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
: "${VENV:=.venv}"

if [[ -e $VENV/.requirements_hash ]]; then
  rm -rf -- "$VENV"
fi
if [[ -e kit/kit.txt ]]; then
  rm -rf -- kit
fi
rm -rf -- "$VENV.lab" .kit.new kit.part .lock.* proof smoke_frame.png ppo_smoke.zip .smoke_frame-* .ppo_smoke-*
rm -rf -- ./*.egg-info {bench,checks,env,tests,tests/docker}/__pycache__ .pytest_cache .ruff_cache MUJOCO_LOG.TXT
