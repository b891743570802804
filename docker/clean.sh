#!/usr/bin/env bash
# Removes what the lab made in this clone, which .gitignore lists. A venv or a kit is removed only if the lab made it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
. env/prelude.sh
shopt -s nullglob

if [[ -e $VENV/.requirements_hash ]]; then
  rm -rf -- "$VENV"
fi
if [[ -e kit/kit.txt ]]; then
  rm -rf -- kit
fi
rm -rf -- "$VENV.lab"
while read -r pattern; do
  # shellcheck disable=SC2086
  case $pattern in
    '' | '#'* | /.venv* | /kit/) ;;
    /*) rm -rf -- .${pattern%/} ;;
    *) rm -rf -- {.,*,*/*}/"${pattern%/}" ;;
  esac
done <.gitignore
