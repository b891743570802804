# shellcheck shell=bash disable=SC2034
# Sourced by docker/engine.sh: what is Podman's own.
client=podman
package=podman # Debian's
gpu_options=(--device=nvidia.com/gpu=all)
run_options=()
((EUID == 0)) || run_options=(--userns=keep-id) # rootless: the uid inside is the uid outside
build_options=(--format docker)                 # its own format has no SHELL
save_options=(--format=oci-archive)             # what docker writes by itself
manifest_options=(--tls-verify=false)           # for a registry of this machine, which has no certificate
permission_remedy="podman info"
start_remedy="podman info"
restart_remedy="pgrep -a podman; end the one that holds the others up"

ask_server() { # sets answer to podman's version; there is no daemon, and catatonit is a container's process 1
  answer="catatonit is not installed"
  compgen -G '/usr/*/podman/catatonit' >/dev/null && answer=$(all_within "$PATIENCE" podman version --format '{{.Client.Version}}')
}
