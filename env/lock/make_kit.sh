#!/usr/bin/env bash
# Writes a kit to KIT (env/kit.py says what is in one), with the container's image where IMAGE=1: for a machine
# without a network. It is made beside the repository's files and moved there when it is whole.
set -euo pipefail
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
. "$root/docker/image.sh"
. "$root/env/inventory.sh"
cd -- "$root"
kit=${KIT:-kit} new=.kit.new
while [[ $kit == */ ]]; do kit=${kit%/}; done
unset KIT # it is what is made here, not what is taken from

case ${IMAGE:=0} in 0 | 1) ;; *) error "IMAGE=$IMAGE is not 0 or 1" "IMAGE=1" 2 ;; esac
if ((IMAGE)); then
  ! inside || error "IMAGE=1 needs the engine, which is outside the container" "make kit IMAGE=1, on the host" 2
  choose_engine
  [[ $ENGINE != local ]] || error "IMAGE=1 needs a container engine, and this is ENGINE=local" "make kit IMAGE=1 ENGINE=docker" 2
  [[ ${PLATFORM:-$(uname -m)} == "$(uname -m)" ]] ||
    error "IMAGE=1 saves this machine's image, which is not for PLATFORM=$PLATFORM" "make kit IMAGE=1 PLATFORM=$(uname -m)" 2
fi
if [[ -e $kit ]] && ! is_kit "$kit"; then
  error "$kit exists, and is not a kit" "make kit KIT=another/folder"
fi

exec {lock}>>"${BASH_SOURCE[0]}" # this file itself: one that is made would be left behind
take_lock "$lock" "kit: another make kit is running" "$(local_clone)"
trap 'rm -rf -- "$new"' EXIT
trap 'exit 143' TERM HUP
rm -rf -- "$new"
docker/dev.sh python -m env.lock wheels "$new" --machine="${PLATFORM:-}" --python="${PYTHON_VERSION:-}" --torch="${TORCH:-1}"
if ((IMAGE)); then
  ensure_image
  echo "kit: saving $image" >&2
  engine save "${save_options[@]}" --output "$new/image.tar" "$image" ||
    error "kit: $ENGINE could not save $image; its reason is above" "df -h .; then: make kit IMAGE=1"
fi
chmod -R a+rX -- "$new" # docker save writes for its user alone
sums=$(cd "$new" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum)
echo "$sums" >"$new/SHA256SUMS"
part=$kit.robotics-lab.part # which may be another disk than $new
rm -rf -- "$part" && mkdir -p -- "$(dirname -- "$kit")"
mv -T -- "$new" "$part"
if [[ -e $kit ]]; then # an old one, in which a user may have put more
  rm -rf -- "${KIT_PARTS[@]/#/$kit/}"
  is_empty "$kit" || echo "kept $kit:$(entries "$kit")"
  mv -t "$kit" -- "$part"/*
  rmdir -- "$part"
else
  mv -T -- "$part" "$kit"
fi
there="make verify KIT=…" # with what the image's tag depends on
((IMAGE == 0)) || there+="${BASE_IMAGE:+ BASE_IMAGE=$BASE_IMAGE}${APT_SNAPSHOT:+ APT_SNAPSHOT=$APT_SNAPSHOT}"
about() { sed -n "s/^$1 //p" "$kit/kit.txt"; }
echo "ok        kit      $kit · Python $(about python), $(about machine) · torch: $(about torch) · $(du -sh "$kit" | cut -f1) · on the other machine: $there"
