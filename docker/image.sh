#!/usr/bin/env bash
# The image, current: builds robotics-rl:KEY unless it is there. KEY is the hash of all that goes into it,
# so that clones with other locks do not take each other's image away; robotics-rl:latest is the last one built.
#
# Run: says what the image is. Sourced (docker/dev.sh): ensure_image sets image, image_id and entrypoint.
set -euo pipefail
root=${root:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)}
. "$root/docker/engine.sh"

image_files() { # what goes into the image: what the venv is made from, and the system's part; the context holds no more
  (cd -- "$root" && LC_ALL=C ls -d docker/Dockerfile pyproject.toml requirements.txt env/*.{py,sh,txt} env/system/*)
}

inspect() { engine image inspect --format '{{.Id}}' "$1" 2>/dev/null; }

base_image() { # what the container stands on: BASE_IMAGE, or the pin for this machine
  echo "${BASE_IMAGE:-$(awk -v expect="$EXPECT" '$1 == expect { print $2 }' "$root/docker/base-images.txt")}"
}

ensure_image() {
  local base base_id key
  base=$(base_image)
  base_id=$base
  if [[ $base != *@sha256:* ]]; then # a tag moves: what it means here and now counts
    base_id=$(inspect "$base") || { pull "$base" && base_id=$(inspect "$base"); }
  fi
  key=$({ echo "$base_id ${APT_SNAPSHOT:-}" && cd "$root" && image_files | xargs -d '\n' sha256sum; } | sha256sum | cut -c1-16)
  image=robotics-rl:$key
  image_id=$(inspect "$image") || { load_kit && image_id=$(inspect "$image"); } || { build "$base" "$key" && image_id=$(inspect "$image"); }
  # shellcheck disable=SC2034
  mapfile -t entrypoint < <(engine image inspect --format '{{range .Config.Entrypoint}}{{println .}}{{end}}' "$image" | sed '/^$/d')
}

load_kit() { # the image out of the kit, if it has the one that is wanted
  local kit=${KIT:-} said
  [[ -z $kit || $kit == /* ]] || kit=$root/$kit
  [[ -n $kit && -e $kit/image.tar ]] || return
  echo "image: loading $kit/image.tar" >&2
  (cd "$kit" && grep '  image.tar$' SHA256SUMS | sha256sum --check --status) ||
    error "image: $kit/image.tar has another checksum than the kit says: it was changed, or copied badly" "make kit IMAGE=1; copy the folder again"
  said=$(engine load --input "$kit/image.tar" 2>&1) || error "image: $ENGINE cannot load $kit/image.tar: ${said##*$'\n'}" "$ENGINE system df"
  inspect "$image" >/dev/null && engine tag "$image" robotics-rl:latest && return
  echo "image: the kit's image does not fit ($said): it was made from other files or on another base" >&2
  return 1
}

pull() {
  echo "image: fetching $1" >&2
  watched engine pull "$1"
}

build() { # BASE KEY
  echo "image: building robotics-rl:$2 on $1" >&2
  context=$(mktemp -d)
  trap 'rm -rf -- "$context"' EXIT
  (cd "$root" && image_files | xargs -d '\n' cp --parents --target-directory="$context" --)
  mkdir "$context/wheels"
  local arguments=("${build_options[@]}" --build-arg "BASE_IMAGE=$1" --build-arg "APT_SNAPSHOT=${APT_SNAPSHOT:-}")
  if [[ -n ${KIT:-} ]]; then
    (cd "$root" && cp -R -- "$KIT"/{kit.txt,SHA256SUMS,wheels} "$context/wheels")
    arguments+=(--build-arg KIT=/wheels)
  elif [[ $EXPECT != gpu ]]; then
    local_wheels "$context/wheels"
  fi
  local name
  for name in PIP_EXTRA_INDEX_URL PIP_INDEX_URL PIP_TRUSTED_HOST HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [[ -z ${!name:-} ]] || arguments+=(--build-arg "$name")
  done
  watched engine build "${arguments[@]}" --label "robotics-lab.key=$2" --label "robotics-lab.base=$1" \
    --tag "robotics-rl:$2" --tag robotics-rl:latest --file "$context/docker/Dockerfile" "$context"
  rm -rf -- "$context"
  trap - EXIT
}

local_wheels() { # torch's CPU wheels, where pip's find-links has them in a folder of this machine
  local links folder version
  version=$(sed -n 's/^torch==\([^ ]*\).*/\1/p' "$root/env/torch-cpu.txt")
  links=${PIP_FIND_LINKS:-$(python3 -m pip config get global.find-links 2>/dev/null)} || return 0
  for folder in $links; do
    [[ ! -d $folder ]] || find "$folder" -name "torch-$version-*.whl" -exec cp -t "$1" {} +
  done
}

watched() { # run, show, and name the cause of a failure
  local log what fix='make image'
  log=$(mktemp)
  if "$@" 2>&1 | tee "$log" | sed -u 's/^/  /' >&2; then
    rm -f "$log"
    return
  fi
  what=$(tail -n 40 "$log")
  rm -f "$log"
  case $what in
    *[Nn]"o space left"*)
      what="the disk is full" fix="$ENGINE system df; free some space, then: make image"
      ;;
    *"manifest unknown"* | *"not found: manifest"* | *"manifest for"*"not found"* | *"pull access denied"* | *"does not exist"*)
      what="there is no such base image" fix="the name and digest in docker/base-images.txt, or BASE_IMAGE=…"
      ;;
    *unauthorized* | *"authentication required"*)
      what="the registry wants a login" fix="$ENGINE login, then: make image"
      ;;
    *x509* | *"certificate verify failed"* | *"certificate verification failed"* | *UnknownIssuer* | *"SSL certificate"*)
      what="a certificate is not trusted: a proxy here signs with an authority of its own"
      fix="a base image with that authority in /usr/local/share/ca-certificates: make image BASE_IMAGE=…"
      ;;
    *"dial tcp"* | *"no such host"* | *"lookup "* | *"esolving"* | *"esolve"* | *"cannot be fetched"* | *imeout* | *"apt could not"*)
      what="the build cannot reach the network" fix="connect this machine (proxies: HTTPS_PROXY), then: make image"
      ;;
    *"error: python "*" is not one of "*)
      what="the base image's $(grep -om1 'python .* is not one of [0-9., ]*' <<<"$what")" fix="another base: make image BASE_IMAGE=…"
      ;;
    *) what="$ENGINE ${2} failed; its last words are above" ;;
  esac
  error "image: $what" "$fix"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  ! inside || exit 0 # it is the one that is running
  choose_engine
  if [[ $ENGINE == local ]]; then
    echo "skip      image    the local engine runs without one$ENGINE_REASON"
  else
    ensure_image
    echo "ok        image    $ENGINE · $image · ${image_id:0:19}"
  fi
fi
