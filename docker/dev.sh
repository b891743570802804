#!/usr/bin/env bash
# The one door into the lab.
#
#     docker/dev.sh               open a shell in it
#     docker/dev.sh COMMAND …     run a command in it; its exit status comes back
#
# Settings: docs/variables.md. What each flag of docker run is for: below.
set -euo pipefail
unset CDPATH
# Variables of the user's that a container is given.
HANDED_IN=(CUDA_DEVICE_ORDER CUDA_VISIBLE_DEVICES HTTPS_PROXY HTTP_PROXY MUJOCO_EGL_DEVICE_ID MUJOCO_GL NO_PROXY
  PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_INDEX_URL PIP_TRUSTED_HOST PYOPENGL_PLATFORM TERM WANDB_API_KEY WANDB_MODE)

self=$(readlink -f -- "${BASH_SOURCE[0]}") # through a link, too
root=${self%/docker/dev.sh}
if [[ ${1:-} == --help ]]; then
  sed -n '/^#!/d; s/^# \{0,1\}//p; /^set /q' "$self"
  exit
fi

. "$root/docker/image.sh"
if inside; then
  check_settings
  exec "$root/docker/activate.sh" "$@"
fi
choose_engine
if [[ $ENGINE == local ]]; then
  find_kit
  exec "$root/docker/activate.sh" "$@"
fi

[[ $VENV != /* ]] || error "VENV=$VENV is outside the repository, and the container sees nothing else" "VENV=.venv" 2
ensure_image

# The home folder of the container's user: caches survive there, and stay out of the repository.
user_cache
mkdir -p "$cache/home"
uid=$(id -u) gid=$(id -g) name=$(id -un 2>/dev/null) || name=lab
printf '%s\n' 'root:x:0:0:root:/home/lab:/bin/bash' 'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin' >"$cache/passwd.$$"
((uid == 0)) || echo "$name:x:$uid:$gid::/home/lab:/bin/bash" >>"$cache/passwd.$$"
mv "$cache/passwd.$$" "$cache/passwd-$uid"
printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$cache/group.$$"
((gid == 0)) || echo "$(id -gn 2>/dev/null || echo lab):x:$gid:" >>"$cache/group.$$"
mv "$cache/group.$$" "$cache/group-$gid"

mount() { # SOURCE TARGET [readonly]: quoted as CSV, for paths with commas
  printf -- '--mount=type=bind,"source=%s",target=%s%s' "${1//\"/\"\"}" "$2" "${3:+,$3}"
}

clone=${root//,/%2C} # podman splits its filters at commas
# shellcheck disable=SC2054
run=(
  "$client" run --rm
  --init        # a process 1 that forwards signals and reaps children
  --interactive # stdin comes through
  "--user=$uid:$gid"
  "$(mount "$cache/passwd-$uid" /etc/passwd readonly)" # a name for it: torch and getpass want one
  "$(mount "$cache/group-$gid" /etc/group readonly)"
  "$(mount "$cache/home" /home/lab)" --env=HOME=/home/lab
  "$(mount "$root" /workspace)"
  --read-only --tmpfs=/tmp:exec --tmpfs=/var/tmp # nothing else is writable
  --cap-drop=ALL --security-opt=no-new-privileges
  --shm-size=8g # torch's workers share memory; the default is 64 MB
  "--env=LAB_IMAGE=$image_id" --env=PYTHON=python3 --env=ENGINE --env=EXPECT --env=STRICT --env=STEPS "--env=VENV=$VENV"
  "${run_options[@]}"
  "--label=robotics-lab.clone=$clone" "--label=robotics-lab.client=$$ $HOSTNAME"
)
[[ -z $from_kit ]] || run+=("$(mount "$from_kit" /kit readonly)" --env=KIT=/kit)
if [[ -n ${PROOF:-} ]]; then
  proof=$(cd -- "$root" && mkdir -p -- "$PROOF" && cd -- "$PROOF" && pwd -P) 2>/dev/null ||
    error "PROOF=$PROOF is not a folder, and cannot be made one" "PROOF=proof, or another folder of yours" 2
  if [[ $proof == "$root"/* ]]; then
    proof=${proof#"$root"/}
  else
    run+=("$(mount "$proof" "$proof")")
  fi
  run+=("--env=PROOF=$proof")
fi
# Where packages come from, for make lock and make kit; a folder of wheels, as it is here.
for folder in ${PIP_FIND_LINKS:-}; do
  [[ $folder != /* || ! -d $folder ]] || run+=("$(mount "$(realpath -- "$folder")" "$folder" readonly)")
done
for variable in "${HANDED_IN[@]}"; do
  [[ -z ${!variable+set} ]] || run+=("--env=$variable")
done
if [[ $PWD == "$root" || $PWD == "$root"/* ]]; then
  run+=("--workdir=/workspace${PWD#"$root"}")
fi
[[ ! (-t 0 && -t 1) ]] || run+=(--tty)

be_the_only_check() { # two of one clone would mix their evidence, and one goes on where its client was killed
  local check host other pid
  ask ps --quiet --filter "label=robotics-lab.clone=$clone" --filter label=robotics-lab.check
  [[ -n $answer ]] || return 0
  other=${answer%%$'\n'*}
  ask inspect --format '{{index .Config.Labels "robotics-lab.client"}} {{index .Config.Labels "robotics-lab.check"}}' \
    "$other" || return 0 # it has ended meanwhile
  read -r pid host check <<<"$answer"
  [[ $host != "$HOSTNAME" || -d /proc/$pid ]] || host+=", which has ended"
  error "another check of this clone still runs: $check, in the container $other, started by process $pid of $host" \
    "$client kill $other; or wait until it has ended"
}
case "$*" in
  *"-m checks list-envs" | *"-m checks explain"*) ;; # they leave the evidence alone
  python*" -m checks"* | "proof-of-life "* | "make check-"* | "make verify"*)
    be_the_only_check
    run+=("--label=robotics-lab.check=$*")
    ;;
esac

prove_gpu() { # see that the engine gives the GPU to a container: once after each boot or change of its configuration
  local passes=$cache/gpu-$ENGINE now said
  now=$({
    echo "${DOCKER_HOST:-}"
    cat /proc/sys/kernel/random/boot_id
    stat --format='%n %Y' /etc/docker/daemon.json /{etc,var/run}/cdi/* "$(command -v nvidia-container-runtime)"
  } 2>/dev/null) || true
  [[ $now != "$(cat "$passes" 2>/dev/null)" ]] || return 0
  said=$(all_within $((6 * PATIENCE)) "$client" run --rm "${gpu_options[@]}" --entrypoint=true "$image") ||
    error "$ENGINE cannot give the GPU to a container: $(head -n 1 <<<"${said:-no answer}") [gpu.toolkit-missing]" \
      "install the NVIDIA Container Toolkit and restart $ENGINE; or, without a GPU: EXPECT=cpu"
  echo "$now" >"$passes"
}
if [[ $EXPECT == gpu ]]; then
  gpu_options+=(--ulimit=memlock=-1 --ulimit=stack=67108864) # as NVIDIA recommends: pinned memory is locked
  prove_gpu
  run+=("${gpu_options[@]}")
fi
exec "${run[@]}" --entrypoint=/workspace/docker/entrypoint.sh "$image" "${entrypoint[@]}" /workspace/docker/activate.sh "$@"
