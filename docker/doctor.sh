#!/usr/bin/env bash
# Lists what this machine has and lacks for the lab, with the command that installs what is missing. Changes nothing and
# uses no network. Status 1 if something is missing that this machine needs.
set -euo pipefail
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$root/docker/image.sh"
check_settings

status=0
row() { # WHAT NEEDED FOUND [FIX]: found, or hangs, or missing and needed, or missing and not
  local state=ok said=$3
  case $3:$2 in
    "$hangs"*) state=hangs said="no answer in $PATIENCE s; fix: $4" ;;
    :yes) state=missing said="fix: $4" ;;
    :*) state='not needed' ;;
  esac
  printf '%-12s%-22s%s\n' "$state" "$1" "$said"
  [[ $2 != yes || $state == ok ]] || status=1
}
yes_if() { if "$@"; then echo yes; else echo no; fi; }
first_of() { # COMMAND …: the first line that it prints, if it succeeds; or that it hangs
  local said status=0
  said=$(within "$PATIENCE" "$@") || status=$?
  case $status in 0) head -n 1 <<<"$said" ;; 124) echo "$hangs" ;; esac
}
library() { # NAME: where it is, if it can be loaded
  local path needs
  path=$(within "$PATIENCE" /sbin/ldconfig -p | awk -v name="$1" '$1 == name && !found++ { print $NF }')
  [[ -z $path ]] || ! needs=$(within "$PATIENCE" ldd "$path") || [[ $needs == *"not found"* ]] || echo "$path"
}
disk_row() { # WHAT FOLDER GB [FIX]: is there so much room?
  local free mount
  read -r free mount < <(within "$PATIENCE" df --output=avail,target -BG "$2" | tail -n 1) || true
  if [[ -z $free ]]; then
    row "$1" yes "$hangs" "df '$2'${4:+; or $4}"
  elif ((${free%G} < $3)); then
    row "$1" yes '' "free $(($3 - ${free%G})) GB on $mount${4:+; or $4}"
  else
    row "$1" yes "${free%G} GB free in $2"
  fi
}

case $ENGINE in
  auto | local) use_engine docker ;;
  *) use_engine "$ENGINE" ;;
esac
if engine_answers; then server=$answer; else server=''; fi
[[ $answer != *"$hangs" ]] || server=$hangs
wants_gpu=$(yes_if [ "$EXPECT" = gpu ])
wants_engine=$([[ $ENGINE == local || ($ENGINE == auto && $EXPECT == cpu && -z $server) ]] && echo no || echo yes)
wants_both=$([[ $wants_gpu$wants_engine == yesyes ]] && echo yes || echo no)
local_python=$([[ $wants_engine == yes ]] && echo no || echo yes)

row "$client client" "$wants_engine" "$(first_of "$client" --version)" "sudo apt-get install -y $package"
row "$client server" "$wants_engine" "$server" "$(engine_remedy)$([[ -n $server ]] || echo "  (${answer##*$'\n'})")"
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
socket=${socket#unix://} # or an address elsewhere
row 'docker socket' "$([[ $wants_engine == yes && $client == docker && $socket == /* ]] && echo yes || echo no)" \
  "$([[ $socket == /* && -w $socket ]] && echo "$socket is yours to use")" \
  "$([[ -e $socket ]] && answer='permission denied'; engine_remedy)"
row 'NVIDIA GPU' "$wants_gpu" "$gpu" "EXPECT=cpu, if this machine has none"
driver=$(first_of nvidia-smi --query-gpu=name,driver_version --format=csv,noheader)
fix='install the NVIDIA driver; if it is there: nvidia-smi'
[[ $driver != "$hangs" ]] || fix='sudo dmesg | grep -i -e nvrm -e xid; sudo reboot'
row 'NVIDIA driver' "$wants_gpu" "$driver" "$fix"
row 'container toolkit' "$wants_both" "$(first_of nvidia-ctk --version; ls /etc/cdi/nvidia.yaml /var/run/cdi/nvidia.yaml 2>/dev/null || true)" \
  "install the NVIDIA Container Toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker"
row "the GPU's EGL" "$wants_gpu" "$(library libEGL_nvidia.so.0)" \
  "install the driver's GL libraries (Ubuntu: libnvidia-gl-VERSION)"
while read -r package name _; do
  [[ $name != lib@(EGL|OSMesa).* ]] || row "$name" "$local_python" "$(library "$name")" "sudo env/system/install.sh --reinstall $package"
done <"$root/env/system/packages.txt"
base=$(base_image)
case $server in
  '' | "$hangs") here="not known: no server answers" ;;
  *) here=$(first_of "$client" image inspect --format "$base" "$base") ;;
esac
row 'base image' no "$([[ $wants_engine == no ]] || echo "${here:-not here yet; make image fetches $base}")" "$restart_remedy"
answered=0
said=$(cd -- "$root" && all_within "$PATIENCE" "$PYTHON" -IB env/venv_key.py) || answered=$?
fix='sudo apt-get install -y python3.12 python3.12-venv, then: make verify PYTHON=python3.12'
version=$(sed -n 's/^version \([^ ]*\).*/\1/p' <<<"$said")
case $answered in
  3) fix="$(sed -n 's/^fix: //p' <<<"$said")  ($(sed -n 's/^error: //p' <<<"$said"))" ;;
  124) version=$hangs fix='make verify PYTHON=/usr/bin/python3, or another that answers' ;;
esac
row 'python' "$local_python" "$version" "$fix"
row 'clone' yes "$([[ ! -w $root ]] || echo "$root is yours to write")" "$(cd -- "$root" && local_clone)"
# A GPU's base image takes 20 GB, another's 3 GB; the venv 0.6 GB.
disk_row 'disk' "$root" "$([[ $wants_both == yes ]] && echo 30 || echo 5)"
# uv, and the base layer of 0.8 GB.
fix=XDG_CACHE_HOME=/a/folder/of/yours
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}} there=
[[ -z $cache ]] || there=$(realpath -m -- "$cache/robotics-lab")
until [[ -z $there || -e $there ]]; do there=$(dirname -- "$there"); done # the first that would be made
has_base=$(compgen -G "$cache/robotics-lab/base-*/.requirements_hash" || true)
if [[ -z $cache ]]; then
  row 'cache' yes '' 'export HOME=/a/folder/of/yours'
elif [[ ! (-d $there && -w $there) && ($wants_engine == yes || -z $has_base) ]]; then # else it may be an administrator's
  row 'cache' yes '' "$fix  ($cache/robotics-lab is not writable)"
elif [[ -n $has_base ]]; then
  row 'cache' yes "$cache/robotics-lab has a base layer"
else
  disk_row 'cache' "$there" 2 "$fix"
fi
exit "$status"
