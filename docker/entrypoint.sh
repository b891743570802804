#!/usr/bin/env bash
# First in the container: starts the base image's own entrypoint, which starts docker/activate.sh. NVIDIA's prints pages
# before it does; they are for a person at a shell, and would spoil the output of a command.
set -euo pipefail
if [[ ! -t 1 || ${!#} != */docker/activate.sh ]]; then # a command follows, or one will come from a pipe
  exec {LAB_STDOUT}>&1 >/dev/null
  export LAB_STDOUT # docker/activate.sh gives it back
fi
exec "$@"
