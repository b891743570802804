# shellcheck shell=bash disable=SC2034
# Sourced by docker/engine.sh: what is Docker's own.
client=docker
package=docker.io # Debian's
gpu_options=(--gpus=all)
run_options=() build_options=() save_options=()
manifest_options=(--insecure) # for a registry of this machine, which has no certificate
permission_remedy="sudo usermod -aG docker ${USER:-\$USER}, then log out and back in"
start_remedy="sudo systemctl start docker"
restart_remedy="sudo systemctl restart docker"

ask_server() { # sets answer to the daemon's version; status 1 and the reason where it does not answer
  if [[ -z ${DOCKER_HOST:-} && ! -S /var/run/docker.sock && ! -d ~/.docker/contexts ]]; then
    answer="the Docker daemon is not running; there is no /var/run/docker.sock" # sooner than the client says so
    return 1
  fi
  answer=$(all_within "$PATIENCE" docker version --format '{{.Server.Version}}')
}
