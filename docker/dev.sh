#!/usr/bin/env bash
# The one door into the lab.
#
#     docker/dev.sh               open a shell in it
#     docker/dev.sh COMMAND …     run a command in it; its exit status comes back
#
# Settings (docs/variables.md): ENGINE, EXPECT, STRICT, PYTHON, VENV.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$root/env/error.sh"
: "${ENGINE:=auto}" "${EXPECT:=auto}" "${STRICT:=0}"

case $EXPECT in auto | gpu | cpu) ;; *) error "EXPECT=$EXPECT is not one of auto, gpu, cpu" "EXPECT=auto" 2 ;; esac
case $STRICT in 0 | 1) ;; *) error "STRICT=$STRICT is not 0 or 1" "STRICT=1" 2 ;; esac

gpu=$("$root/env/nvidia.sh") || true
expected=$EXPECT
if [[ $EXPECT == auto ]]; then
  EXPECT=$([[ -n $gpu ]] && echo gpu || echo cpu)
fi

case $ENGINE in
  local) ;;
  auto)
    # A machine with a GPU is never quietly verified outside the container.
    [[ -z $gpu || $expected == cpu ]] ||
      error "this machine has an NVIDIA GPU ($gpu), and the lab has no container engine yet" \
        "ENGINE=local, if you mean to verify this machine's own Python"
    ENGINE=local
    ;;
  docker | podman)
    error "ENGINE=$ENGINE needs the lab's container image, which is not there yet" "ENGINE=local" ;;
  *) error "ENGINE=$ENGINE is not one of auto, docker, podman, local" "ENGINE=auto" 2 ;;
esac

export ENGINE EXPECT STRICT
exec "$root/env/enter.sh" "$@"
