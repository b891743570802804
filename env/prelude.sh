# shellcheck shell=bash
# Sourced first by every script: how an error is reported, and what is decided once.

: "${PYTHON:=python3}" "${VENV:=.venv}"

error() { # WHAT FIX [STATUS]: print what is wrong and the command that fixes it; exit
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

inside() { # in the lab's container? docker/dev.sh sets LAB_IMAGE there
  [[ -n ${LAB_IMAGE:-} ]]
}
