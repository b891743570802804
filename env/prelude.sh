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

# Every question to a program that may hang (an engine, a driver) goes through here. What is asked gets a pipe of its own
# and nothing else of ours: stuck in the kernel, it cannot even be killed, and is left behind.

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
  # shellcheck disable=SC2093
  exec {output}< <(exec </dev/null 2>&"$errors" && exec "$@")
  asked=$!
  IFS= read -r -d '' -t "$limit" -u "$output" answer || status=$?
  exec {output}<&-
  ((errors == 1)) || exec {errors}>&-
  printf '%s' "$answer"
  if ((status > 128)); then # read's own word for it
    kill -KILL "$asked" 2>/dev/null || true
    return 124
  fi
  wait "$asked"
}
