#!/usr/bin/env bash
# Refreshes the pins of the base layer as make lock does those of the project: torch's CPU wheel, and
# where the lab runs in a container the image that it stands on. BASE_IMAGE=NAME:TAG takes another than the pinned
# name. The lab is built on the candidate in a copy of the repository and checked there; only then is it pinned.
set -euo pipefail
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
. "$root/docker/image.sh"
cd -- "$root"
pins=docker/base-images.txt
! inside || error "the pins are refreshed outside the container" "make lock-base, on the host" 2
[[ ${BASE_IMAGE:-} != *@* ]] || error "BASE_IMAGE=$BASE_IMAGE is a digest, which is what is looked for" "BASE_IMAGE=NAME:TAG" 2
choose_engine

BASE_IMAGE='' docker/dev.sh python -m env.lock torch
if [[ $ENGINE == local ]]; then
  echo "skip      base     $pins is left to a machine with Docker or podman$ENGINE_REASON"
  exit
fi

exec {lock}>>"${BASH_SOURCE[0]}" # this file itself: one that is made would be left behind
take_lock "$lock" "base: another make lock-base is running" "$(local_clone)"
old=$(awk -v expect="$EXPECT" '$1 == expect { print $2 }' "$pins")
name=${BASE_IMAGE:-${old%@*}}
unset BASE_IMAGE
repository=${name%:*}
said=$(pull "$name" 2>&1 | tee /dev/stderr)

plain=() # a registry of this machine has no certificate
case $name in localhost:* | 127.*) plain=("${manifest_options[@]}") ;; esac
new=
while read -r digest; do # podman knows an image by two; the index of both machines is the one that is wanted
  index=$(all_within $((3 * PATIENCE)) "$client" manifest inspect "${plain[@]}" "$repository@$digest") || true
  [[ $index == *'"amd64"'* && $index == *'"arm64"'* ]] && new=$name@$digest && break
done < <(sed -n 's/.*Digest: //p' <<<"$said" | grep . || # docker says it; podman does not
  within "$PATIENCE" "$client" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$name" | sed -n "s|.*${repository##*/}@||p")
[[ -n $new ]] || error "base: $name is not an index of x86_64 and aarch64: ${index:-it has no digest}" "another one: make lock-base BASE_IMAGE=NAME:TAG"
if [[ $new == "$old" ]]; then
  echo "base: nothing changes: $old"
  exit
fi
printf '%s\n' "$pins:" "  -$old" "  +$new"

copy=.lock.base refused=
trap 'rm -rf -- "$copy"; [[ -z $refused ]] || within "$PATIENCE" "$client" rmi "$refused" >/dev/null || true' EXIT
trap 'exit 143' TERM HUP
rm -rf -- "$copy"
env/lock/copy.sh "$copy"
sed -i "s|^$EXPECT .*|$EXPECT $new|" "$copy/$pins"
refused=$(
  set -e
  cd "$copy"
  root=$PWD
  ensure_image >&2
  echo "$image"
)
echo "base: testing the candidate: the checks" >&2
VENV=.venv PROOF='' STEPS='' "$copy/docker/dev.sh" python -m checks all --total-steps=4000 ||
  error "base: the lab on $new fails a check; the pin stays" "make lock-base BASE_IMAGE=$repository:another-tag"
refused=
mv -T -- "$copy/$pins" "$pins"
echo "base: pinned; tested here for EXPECT=$EXPECT alone"
