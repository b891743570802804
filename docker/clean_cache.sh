#!/usr/bin/env bash
# Removes from the user's cache the base layers (env/base.sh) that no venv stands on, and says which.
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
. env/prelude.sh
shopt -s nullglob

cache=${XDG_CACHE_HOME:-${HOME:?is not set, and the cache is kept there}/.cache}/robotics-lab
[[ -e $cache/base.lock ]] || exit 0
exec {lock}>>"$cache/base.lock"
take_lock "$lock" '' "rm -r '$cache'; the next make venv fetches what it needs" ||
  error "a base layer in $cache is being built, or a venv on one" "wait until that has ended, then: make clean-cache"

named_by() { # BASE: the first venv that stands on it, or has been put aside for another engine's
  local venv digest
  digest=$(sed -n '1s/^sha256 //p' "$1/.requirements_hash" 2>/dev/null) || return 0
  while read -r venv; do
    if grep -qsxF "base $digest $1" "$venv/.requirements_hash" "$venv.lab/parked/.requirements_hash"; then
      echo "$venv" && return
    fi
  done < <(cat -- "$1.venvs" 2>/dev/null)
}

for base in "$cache"/base-*.new "$cache"/base-*.old; do
  rm -rf -- "$base" # of a build that was killed
done
for base in "$cache"/base-*/; do
  base=${base%/}
  venv=$(named_by "$base")
  if [[ -n $venv ]]; then
    echo "kept $base: $venv stands on it"
  else
    size=$(du -sh -- "$base" | cut -f1)
    rm -rf -- "$base" "$base.venvs"
    echo "removed $base, $size"
  fi
done
