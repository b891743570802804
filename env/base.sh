# shellcheck shell=bash disable=SC2154
# Sourced by the gate, for an interpreter that has no torch: the lab's own base layer, a venv in the user's cache with
# torch's locked CPU wheel and what only that needs. All clones share it. It is looked over, built and put in place as the
# venv is. In the image it is baked, at $LAB_BASE.
#
# The key says in base_digest which one it must be, and in base where it is; where base is empty, there is nothing to do.

[[ -z ${LAB_BASE:-} ]] || LAB_BASE=$(realpath -m -- "$LAB_BASE")

base_damage() { # why $base is not that; nothing: it is
  [[ $(head -n 1 -- "$base/.requirements_hash" 2>/dev/null) == "sha256 $base_digest" ]] || { echo "there is none yet" && return; }
  [[ $base == "${LAB_BASE:-}" ]] || damage "$base" # an image's files are the engine's to keep
}

ensure_base() { # builds $base unless it is whole; holds it against clean-cache as long as this process lives
  local lock=${base%/*}/base.lock wrong
  local busy="venv: another run is at work on ${base%/*}" fix="make verify XDG_CACHE_HOME=/a/folder/on/a/local/disk"
  wrong=$(base_damage)
  [[ -n $wrong || $base != "${LAB_BASE:-}" ]] || return 0
  if ! { mkdir -p -- "${base%/*}" && exec {base_lock}>>"$lock"; } 2>/dev/null; then
    [[ -n $wrong ]] || return 0 # an administrator's, for others to read
    error "venv: torch cannot be kept in ${base%/*}: it is not writable" "make verify XDG_CACHE_HOME=/a/folder/that/is/yours"
  fi
  take_lock "$base_lock" "$busy" "${wrong:+$fix}" --shared || return 0 # where nothing can be locked, clean-cache ends, too
  wrong=$(base_damage)
  while [[ -n $wrong ]]; do
    take_lock "$base_lock" "$busy" "$fix"
    wrong=$(base_damage)
    [[ -z $wrong ]] || build_base "$wrong"
    take_lock "$base_lock" "$busy" "$fix" --shared
    [[ ! -e $base/.requirements_hash ]] || wrong='' # else clean-cache came between
  done
}

name_venv() { # notes that $VENV is about to stand on $base, which clean-cache therefore keeps
  local path
  path=$(realpath -m -- "$VENV")
  [[ ! -w ${base%/*} || $base == "${LAB_BASE:-}" ]] || grep -qsxF -- "$path" "$base.venvs" || echo "$path" >>"$base.venvs"
}

build_base() { # WHY: build $base beside, and put it in place
  local new=$base.new old=$base.old
  echo "venv: building the base layer $base ($1)" >&2
  rm -rf -- "$new" "$old"
  trap 'rm -rf -- "$base.new"' EXIT
  "$PYTHON" -IB env/base_build.py "$new" || exit
  { inventory "$new" >"$new/.inventory" && printf '%s\n' "sha256 $base_digest" "python $PYTHON" >"$new/.requirements_hash"; } ||
    error "venv: the stamp of the base layer could not be written" "df -h '${base%/*}'; then: make venv"
  [[ ! -e $base ]] || mv -T -- "$base" "$old"
  mv -T -- "$new" "$base"
  rm -rf -- "$old"
}
