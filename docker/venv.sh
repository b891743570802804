#!/usr/bin/env bash
# Brings the venv up to date, and says in one line what the lab runs on.
set -euo pipefail
unset CDPATH
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$root/docker/image.sh"
. "$root/env/inventory.sh"

is_current_in_image() { # an image stands for every file of the venv's key: seen from here, without starting a container
  [[ $VENV != /* ]] && grep -qsx "image $image_id" "$root/$VENV/.requirements_hash" && [[ -z $(damage "$root/$VENV") ]]
}

if ! inside; then
  choose_engine
  [[ $ENGINE == local ]] || ensure_image
fi
if inside || [[ $ENGINE == local ]]; then
  "$root/docker/activate.sh" true
elif ! is_current_in_image; then
  "$root/docker/dev.sh" true
fi
cd -- "$root"
mapfile -t packages < <(added "$VENV" | sed 's/-/ /'; added_startup "$VENV")
beyond=
if ((${#packages[@]})); then
  printf -v beyond ', %s' "${packages[@]}"
  beyond=" · not in the lock: ${beyond:2}"
fi
echo "ok        venv     $ENGINE · $(<"$VENV/.contents")$beyond"
