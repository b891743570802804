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
library() { within "$PATIENCE" /sbin/ldconfig -p | awk -v name="$1" '$1 == name && !found++ { print $NF }'; }

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
socket=${socket#unix://}
row 'docker socket' "$([[ $wants_engine == yes && $client == docker ]] && echo yes || echo no)" \
  "$([[ $socket != /* || -w $socket ]] && echo "$socket is yours to use")" \
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
for name in libEGL.so.1 libOSMesa.so.8; do
  row "$name" "$local_python" "$(library "$name")" 'sudo env/system/install.sh'
done
base=$(base_image)
case $server in
  '' | "$hangs") here="not known: no server answers" ;;
  *) here=$(first_of "$client" image inspect --format "$base" "$base") ;;
esac
row 'base image' no "$([[ $wants_engine == no ]] || echo "${here:-not here yet; make image fetches $base}")" "$restart_remedy"
row 'python' "$local_python" "$(cd "$root" && within "$PATIENCE" "$PYTHON" -IB env/venv_key.py | sed -n 's/^version //p' | cut -d' ' -f1)" \
  'sudo apt-get install -y python3.12 python3.12-venv, then: make verify PYTHON=python3.12'
# A GPU's base image takes 20 GB, another's 3 GB; the venv 1.3 GB.
need=$([[ $wants_both == yes ]] && echo 30 || echo 5)
free=$(df --output=avail -BG "$root" | tail -n 1 | tr -dc 0-9)
row 'disk' yes "$( ((free < need)) || echo "$free GB free here")" "free $((need - free)) GB on $(df --output=target "$root" | tail -n 1)"
exit "$status"
