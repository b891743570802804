# shellcheck shell=bash disable=SC2154
# Sourced. choose_engine sets ENGINE to local or to an engine in docker/engines/, EXPECT to gpu or cpu, and ENGINE_REASON
# where auto became local; or it ends with an error. Wants root, the repository.
. "$root/docker/expect.sh"
: "${ENGINE:=auto}" "${STRICT:=0}" "${STEPS:=}" "${ENGINE_REASON:=}"
PATIENCE=20 # seconds, for an engine or a driver to answer a question
hangs="hangs: no answer in $PATIENCE s"

check_settings() {
  local name names=auto
  for name in "$root"/docker/engines/*.sh; do
    name=${name##*/} && names+=", ${name%.sh}"
  done
  names+=", local"
  [[ ", $names," == *", $ENGINE,"* ]] || error "ENGINE=$ENGINE is not one of $names" "ENGINE=auto" 2
  expect
  case $STRICT in 0 | 1) ;; *) error "STRICT=$STRICT is not 0 or 1" "STRICT=1" 2 ;; esac
  [[ -z $STEPS || ($STEPS =~ ^[1-9][0-9]{0,9}$ && $((STEPS % 8)) == 0) ]] ||
    error "STEPS=$STEPS is not a multiple of 8, the number of environments" "STEPS=2000; STEPS= for the whole training" 2
}

use_engine() { # NAME: take the client, options and verbs of docker/engines/NAME.sh
  # shellcheck source=docker/engines/docker.sh
  . "$root/docker/engines/$1.sh"
}

# Commands of the engine, in the words that Docker and Podman share.

engine() { # VERB …: run what takes as long as it takes
  "$client" "$@"
}

ask() { # VERB …: sets answer to what it says to a question; ends with an error where none comes
  local status=0
  answer=$(within "$PATIENCE" "$client" "$@") || status=$?
  ((status != 124)) || error "$client $hangs" "$restart_remedy"
  return "$status"
}

engine_answers() { # sets answer to the version of the engine's server, or to why there is none
  local status=0
  answer="$client is not installed"
  command -v "$client" >/dev/null || return
  ask_server || status=$?
  ((status != 124)) || answer="$client $hangs"
  return "$status"
}

engine_remedy() { # the command that helps after this answer
  case $answer in
    "$client is not installed") echo "sudo apt-get install -y $package" ;;
    *" is not installed") echo "sudo apt-get install -y ${answer%% *}" ;;
    *[Pp]"ermission denied"*) echo "$permission_remedy" ;;
    *"$hangs") echo "$restart_remedy" ;;
    *) echo "$start_remedy" ;;
  esac
}

choose_engine() {
  check_settings
  case $ENGINE in
    local) ;;
    auto)
      use_engine docker
      if engine_answers; then
        ENGINE=docker
      elif [[ -n $gpu && $EXPECT == gpu ]]; then # never quietly verified outside the container
        error "this machine has an NVIDIA GPU ($gpu), and Docker does not answer: ${answer##*$'\n'}" \
          "$(engine_remedy); or, if you mean this machine's own Python: ENGINE=local"
      elif [[ $answer == *"$hangs" ]]; then # nor does the lab wait for it before every command
        error "$answer" "$(engine_remedy); or, without it: ENGINE=local"
      else
        ENGINE=local ENGINE_REASON=" (${answer%%;*}, and no GPU is expected)"
      fi
      ;;
    *)
      use_engine "$ENGINE"
      engine_answers ||
        error "ENGINE=$ENGINE does not answer: ${answer##*$'\n'}" "$(engine_remedy); or ENGINE=local"
      ;;
  esac
  export ENGINE EXPECT STRICT STEPS
}
