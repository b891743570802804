# shellcheck shell=bash disable=SC2154
# Sourced. choose_engine sets ENGINE to docker, podman or local and EXPECT to gpu or cpu, and ENGINE_REASON
# where auto became local; or it ends with an error. Wants root, the repository.
. "$root/env/error.sh"
: "${ENGINE:=auto}" "${EXPECT:=auto}" "${STRICT:=0}" "${ENGINE_REASON:=}"

check_settings() {
  case $ENGINE in auto | docker | podman | local) ;; *) error "ENGINE=$ENGINE is not one of auto, docker, podman, local" "ENGINE=auto" 2 ;; esac
  case $EXPECT in auto | gpu | cpu) ;; *) error "EXPECT=$EXPECT is not one of auto, gpu, cpu" "EXPECT=auto" 2 ;; esac
  case $STRICT in 0 | 1) ;; *) error "STRICT=$STRICT is not 0 or 1" "STRICT=1" 2 ;; esac
}

engine_answers() { # does the engine $1? Sets answer to its server's version, or to why it does not
  answer="$1 is not installed"
  command -v "$1" >/dev/null || return
  if [[ $1 == docker && -z ${DOCKER_HOST:-} && ! -S /var/run/docker.sock && ! -d ~/.docker/contexts ]]; then
    answer="the Docker daemon is not running; there is no /var/run/docker.sock" # sooner than the client says so
    return 1
  fi
  case $1 in
    docker) answer=$(docker version --format '{{.Server.Version}}' 2>&1) ;;
    podman) # it has no daemon, and leaves process 1 of a container to catatonit
      answer="catatonit is not installed"
      compgen -G '/usr/*/podman/catatonit' >/dev/null && answer=$(podman version --format '{{.Client.Version}}' 2>&1)
      ;;
  esac
}

engine_remedy() { # the command that helps after this answer
  case $answer in
    *"is not installed") answer=${answer%% *} && echo "sudo apt-get install -y ${answer/#docker/docker.io}" ;;
    *[Pp]"ermission denied"*) echo "sudo usermod -aG docker ${USER:-\$USER}, then log out and back in" ;;
    *) echo "sudo systemctl start docker" ;;
  esac
}

choose_engine() {
  local gpu
  check_settings
  gpu=$("$root/env/nvidia.sh") || true
  case $ENGINE in
    auto)
      if engine_answers docker; then
        ENGINE=docker
      elif [[ -n $gpu && $EXPECT != cpu ]]; then # never quietly verified outside the container
        error "this machine has an NVIDIA GPU ($gpu), and Docker does not answer: ${answer##*$'\n'}" \
          "$(engine_remedy); or, if you mean this machine's own Python: ENGINE=local"
      else
        ENGINE=local ENGINE_REASON=" (${answer%%;*}, and no GPU is expected)"
      fi
      ;;
    docker | podman)
      engine_answers "$ENGINE" ||
        error "ENGINE=$ENGINE does not answer: ${answer##*$'\n'}" "$(engine_remedy); or ENGINE=local"
      ;;
  esac
  if [[ $EXPECT == auto ]]; then
    EXPECT=$([[ -n $gpu ]] && echo gpu || echo cpu)
  fi
  export ENGINE EXPECT STRICT
}
