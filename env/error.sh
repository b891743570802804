# shellcheck shell=bash
# Sourced. error WHAT FIX [STATUS]: one line that says what is wrong, one that puts it right, and out.
error() {
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}
