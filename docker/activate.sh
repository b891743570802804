#!/usr/bin/env bash
# In the lab, whatever the engine: bring the environment up to date, activate it, and run the command, or a shell.
# docker/dev.sh leads here.
set -euo pipefail
unset CDPATH
if [[ -n ${LAB_STDOUT:-} ]]; then # docker/entrypoint.sh has put it aside
  exec >&"$LAB_STDOUT" {LAB_STDOUT}>&-
  unset LAB_STDOUT
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$root/env/prelude.sh"

"$root/env/venv.sh"
VIRTUAL_ENV=$(cd -- "$root" && cd -- "$VENV" && pwd -L)
export VIRTUAL_ENV
. "$root/docker/variables.sh"
[[ $PATH == "$VIRTUAL_ENV/bin":* ]] || export PATH=$VIRTUAL_ENV/bin:$PATH

(($#)) && exec -- "$@"
[[ -t 0 ]] && exec bash --rcfile "$root/docker/bashrc" -i
exec bash # commands from a pipe
