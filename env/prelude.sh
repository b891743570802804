# shellcheck shell=bash
# Sourced first by every script: how an error is reported, and what is decided once.

: "${PYTHON:=python3}" "${VENV:=.venv}"
while [[ $VENV == */ && $VENV != / ]]; do VENV=${VENV%/}; done
[[ $VENV != -* ]] || VENV=./$VENV

follow_link() { # $VENV may be a link to a larger disk; then sets link, and VENV to what it leads to
  link=
  # shellcheck disable=SC2034
  [[ ! -L $VENV ]] || link=$VENV VENV=$(readlink -m -- "$VENV")
}

error() { # WHAT FIX [STATUS]: print what is wrong and the command that fixes it; exit
  printf 'error: %s\nfix: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

inside() { # in the lab's container? docker/dev.sh sets LAB_IMAGE there, which may be a user's, too; the files are the image's
  [[ -n ${LAB_IMAGE:-} && -f /opt/uv && -f /opt/lab/.requirements_hash ]]
}

# Every question to a program that may hang (an engine, a driver) goes through here. What is asked gets a pipe of its own
# and nothing else of ours: stuck in the kernel, it cannot even be killed, and is left behind. The shell around it keeps the
# pipe open until it has ended.

within() { # SECONDS COMMAND …: print what it prints; its status, or 124 where it has not answered by then
  local errors
  exec {errors}>/dev/null
  answer_within "$@"
}

all_within() { # SECONDS COMMAND …: the same, with what it says on stderr
  local errors=1
  answer_within "$@"
}

answer_within() {
  local limit=$1 output asked answer status=0
  shift
  exec {output}< <(
    exec </dev/null 2>&"$errors"
    "$@" &
    trap 'kill -KILL $!' TERM
    wait $!
  )
  asked=$!
  IFS= read -r -d '' -t "$limit" -u "$output" answer || status=$?
  exec {output}<&-
  ((errors == 1)) || exec {errors}>&-
  printf '%s' "$answer"
  if ((status > 128)); then # read's own word for it
    kill -TERM "$asked" 2>/dev/null || true
    return 124
  fi
  wait "$asked"
}

# Of two runs that write in the same place, one waits. A file system may have no locks (Lustre, some NFS), and NFSv4 locks
# for one alone only what is open for writing: FD is that of a file opened with >>.

local_clone() { # the way out where the clone's own file system has none
  echo "cp -a '$PWD' /a/local/disk, and work there"
}

take_lock() { # FD WAITING FIX [--shared]: without WAITING, 75 where another run holds it; without FIX, else where it cannot be had
  local said status=0
  said=$(all_within 20 flock --nonblock --conflict-exit-code=75 ${4:+"$4"} "$1") || status=$?
  if [[ $status == 75 && -n $2 ]]; then
    echo "$2; waiting for it" >&2
    status=0
    said=$(flock ${4:+"$4"} "$1" 2>&1) || status=$?
  fi
  [[ $status != 0 && $status != 75 && -n $3 ]] || return "$status"
  ((status != 124)) || said="its file system does not answer"
  error "$(readlink "/proc/self/fd/$1") cannot be locked: ${said##*: }" "$3"
}
