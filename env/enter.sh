#!/usr/bin/env bash
# In the lab's engine, whichever it is: bring the environment up to date, activate it, run the command
# (or a shell). docker/dev.sh is the door that leads here.
set -euo pipefail
if [[ -n ${LAB_STDOUT:-} ]]; then # docker/entry.sh has put it aside
  exec >&"$LAB_STDOUT" {LAB_STDOUT}>&-
  unset LAB_STDOUT
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
: "${VENV:=.venv}"

"$root/env/venv.sh"
VIRTUAL_ENV=$(cd -- "$root" && cd -- "$VENV" && pwd -L)
export VIRTUAL_ENV
"$root/env/system.sh" --once
. "$root/env/variables.sh"
[[ $PATH == "$VIRTUAL_ENV/bin":* ]] || export PATH=$VIRTUAL_ENV/bin:$PATH

(($#)) && exec -- "$@"
[[ -t 0 ]] && exec bash --rcfile "$root/env/bashrc" -i
exec bash # commands from a pipe
