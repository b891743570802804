#!/usr/bin/env bash
# The image, current: builds robotics-rl:KEY unless it is there. KEY is the hash of all that goes into it,
# so that clones with other locks do not take each other's image away; robotics-rl:latest is the last one built.
#
# Run: says what the image is. Sourced (docker/dev.sh): ensure_image sets image, image_id and entrypoint.
set -euo pipefail
unset CDPATH
root=${root:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)}
. "$root/docker/engine.sh"

image_files() { # what goes into the image: what the venv is made from, and the system's part; the context holds no more
  (cd -- "$root" && LC_ALL=C ls -d docker/Dockerfile pyproject.toml requirements.txt env/*.{py,sh,txt} env/system/*)
}

base_image() { # what the container stands on: BASE_IMAGE, or the pin for this machine
  echo "${BASE_IMAGE:-$(awk -v expect="$EXPECT" '$1 == expect { print $2 }' "$root/docker/base-images.txt")}"
}

find_image() { # NAME: sets id, which is empty where the engine has no such image, and entrypoint
  ask image inspect --format '{{.Id}}{{range .Config.Entrypoint}}{{println}}{{.}}{{end}}' "$1" || answer=
  mapfile -t entrypoint <<<"$answer"
  id=${entrypoint[0]} entrypoint=("${entrypoint[@]:1}")
}

name_image() { # sets base, base_id, image and image_id; the last is empty where the image must be made
  local bases key
  base=$(base_image)
  bases=$base
  if [[ $base != *@sha256:* ]]; then # a tag moves: what it means here and now counts
    find_image "$base"
    bases=${id:-$(ids_of_absent_base)}
  fi
  image_id=
  for base_id in $bases; do
    key=$({ echo "$base_id ${APT_SNAPSHOT:-}" && cd "$root" && image_files | xargs -d '\n' sha256sum; } | sha256sum | cut -c1-16)
    image=robotics-rl:$key
    find_image "$image"
    image_id=$id
    [[ -z $id ]] || break
  done
}

ids_of_absent_base() { # what the tag $base meant to the images of the lab's that stand on it, as one out of a kit does
  ask image ls --quiet --filter "label=robotics-lab.base=$base"
  [[ -n $answer ]] || return 0
  # shellcheck disable=SC2086
  ask image inspect --format '{{index .Config.Labels "robotics-lab.base-id"}}' $answer
  echo "$answer"
}

ensure_image() {
  find_kit
  name_image
  if [[ -z $image_id ]]; then
    make_image
    name_image
  fi
}

find_kit() { # sets from_kit to the folder that KIT names, or to nothing
  from_kit=
  [[ -n ${KIT:-} ]] || return 0
  from_kit=$(cd -- "$root" && realpath -m -- "$KIT")
  [[ -e $from_kit/kit.txt ]] || error "KIT=$KIT is not a kit: there is no $from_kit/kit.txt" "KIT=/where/the/kit/is" 2
}

user_cache() { # sets cache, the lab's folder in the user's
  [[ -n ${XDG_CACHE_HOME:-${HOME:-}} ]] || error "HOME is not set, and the cache is kept there" "export HOME=/a/folder/of/yours"
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/robotics-lab
  { mkdir -p -- "$cache" && [[ -w $cache ]]; } 2>/dev/null || error "$cache is not writable" "XDG_CACHE_HOME=/a/folder/of/yours make image"
}

make_image() ( # of several runs at once one makes it, and the others wait
  user_cache
  { exec {lock}>>"$cache/image-$ENGINE.lock"; } 2>/dev/null ||
    error "$cache/image-$ENGINE.lock is not yours to write" "sudo chown -R $(id -u):$(id -g) '$cache'"
  take_lock "$lock" "image: another run is making one" "make image XDG_CACHE_HOME=/a/folder/on/a/local/disk"
  name_image
  [[ -n $image_id ]] || load_kit
  if [[ -z $image_id && $base != *@sha256:* ]]; then
    find_image "$base"
    [[ -n $id ]] || pull "$base"
    name_image
  fi
  [[ -n $image_id ]] || build
)

load_kit() { # the image out of the kit, if it has the one that is wanted
  local archive=$from_kit/image.tar said
  [[ -n $from_kit && -e $archive ]] || return 0
  echo "image: loading $archive" >&2
  (cd "$from_kit" && grep '  image.tar$' SHA256SUMS | sha256sum --check --status) ||
    error "image: $archive has another checksum than the kit says: it was changed, or copied badly" "make kit IMAGE=1; copy the folder again"
  said=$(engine load --input "$archive" 2>&1) || error "image: $ENGINE cannot load $archive: ${said##*$'\n'}" "$ENGINE system df"
  name_image
  if [[ -n $image_id ]]; then
    ask tag "$image" robotics-rl:latest
  else
    echo "image: the kit's image does not fit ($said): it was made from other files or on another base" >&2
  fi
}

pull() {
  echo "image: fetching $1" >&2
  watched engine pull "$1"
}

build() ( # $image on $base
  echo "image: building $image on $base" >&2
  context=$(mktemp -d 2>&1) || error "image: no folder can be made to build from: $context" "TMPDIR=/tmp make image"
  trap 'rm -rf -- "$context"' EXIT
  local said
  said=$(fill "$context" 2>&1) || error "image: what it is built from cannot be put into $context: ${said##*$'\n'}" \
    "df -h '$context'; or TMPDIR=/a/larger/folder make image"
  arguments=("${build_options[@]}" --build-arg "BASE_IMAGE=$base" --build-arg "APT_SNAPSHOT=${APT_SNAPSHOT:-}")
  [[ -z $from_kit ]] || arguments+=(--build-arg KIT=/wheels)
  for name in PIP_EXTRA_INDEX_URL PIP_INDEX_URL PIP_TRUSTED_HOST HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [[ -z ${!name:-} ]] || arguments+=(--build-arg "$name")
  done
  for name in "key=${image#*:}" "base=$base" "base-id=$base_id"; do
    arguments+=(--label "robotics-lab.$name")
  done
  watched engine build "${arguments[@]}" --tag "$image" --tag robotics-rl:latest --file "$context/docker/Dockerfile" "$context"
)

fill() { # FOLDER: put there what the image is built from; every failure is its status
  (cd "$root" && image_files | xargs -d '\n' cp --parents --target-directory="$1" --) && mkdir "$1/wheels" || return
  if [[ -n $from_kit ]]; then
    cp -R -- "$from_kit"/{kit.txt,SHA256SUMS,wheels} "$1/wheels"
  elif [[ $EXPECT != gpu ]]; then
    local_wheels "$1/wheels"
  fi
}

local_wheels() { # torch's CPU wheels, where pip's find-links has them in a folder of this machine
  local links folder version
  version=$(sed -n 's/^torch==\([^ ]*\).*/\1/p' "$root/env/torch-cpu.txt")
  links=${PIP_FIND_LINKS:-$(within "$PATIENCE" python3 -m pip config get global.find-links)} || return 0
  for folder in $links; do
    [[ ! -d $folder ]] || find "$folder" -name "torch-$version-*.whl" -exec cp -t "$1" {} + || return
  done
}

watched() { # run, show, and name the cause of a failure
  local what fix='make image'
  what=$("$@" 2>&1 | sed -u 's/^/  /w /dev/stderr' | tail -n 40) && return
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
  if inside; then # it is the one that is running
    check_settings
    exit
  fi
  choose_engine
  if [[ $ENGINE == local ]]; then
    find_kit
    echo "skip      image    the local engine runs without one$ENGINE_REASON"
  else
    ensure_image
    echo "ok        image    $ENGINE · $image · ${image_id:0:19}"
  fi
fi
