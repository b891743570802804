#!/usr/bin/env bash
# The gate: makes sure that $VENV is a tested venv of requirements.txt; if it cannot, says why and leaves the old one.
#
# The venv is current if its key (env/venv_key.py) is the one in $VENV/.requirements_hash and every file is as it was
# installed, the base layer's included where the lab has made that (env/base.sh). If not, a new venv is built beside the old
# one, and they change places by rename. A run that is killed at any moment is repaired by the next; of two runs at once, one
# waits.
set -euo pipefail
unset CDPATH
cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
. env/prelude.sh
. env/inventory.sh
. env/base.sh

follow_link # which stays one
case $PWD/$VENV in
  *[:\$]*) error "$PWD/$VENV contains a ':' or a '\$', which breaks a virtual environment" "move the clone, or choose another VENV" 2 ;;
esac
foreign() { error "$1 exists, and the lab did not make it" "make verify VENV=.venv-lab, or another folder"; }

if [[ -e $VENV ]] && ! is_labs "$VENV" && ! is_empty "$VENV" && ! mountpoint -q -- "$VENV"; then
  foreign "$VENV"
fi

program=$(command -v "$PYTHON") ||
  error "PYTHON=$PYTHON is not a program on this machine" "make verify PYTHON=python3.12, or another that is installed" 2
PYTHON=$program # from here on: another run may build the venv that PATH leads to
if [[ -e ${PYTHON%/*}/../.requirements_hash ]]; then # a lab's venv or base layer: take the interpreter under it
  PYTHON=$(sed -n 's/^python //p' "${PYTHON%/*}/../.requirements_hash")
  : "${PYTHON:=$(readlink -f "$program")}"
elif [[ ${PYTHON%/*} -ef $VENV/bin ]]; then # this one, damaged
  PYTHON=$(readlink -f "$PYTHON")
fi

# A `make lock` that was killed while it installed its files: the rest of them follow.
[[ ! -d .lock.ready ]] || "$PYTHON" -IB env/lock/swap.py

base_of() { # KEY: sets base_digest and base, which are empty where the interpreter has torch
  read -r base_digest base < <(sed -n 's/^base //p' <<<"$1") || true
}

where() { # of a key, what tells one engine's venv from another's
  grep -E '^(machine|image|repository) '
}

is_current() {
  local asker said lost base_lost='' status=0
  # Python may start slowly (behind a pyenv shim); the files are looked over meanwhile.
  exec {answer}< <(all_within 60 "$PYTHON" -IB env/venv_key.py)
  asker=$!
  old_key=$(cat "$VENV/.requirements_hash" 2>/dev/null) || true
  base_of "$old_key"
  lost=$(damage "$VENV")
  [[ -z $base ]] || base_lost=$(base_damage)
  said=$(cat <&"$answer")
  exec {answer}<&-
  wait "$asker" || status=$?
  ((status != 124)) || error "PYTHON=$PYTHON has not answered in 60 s" "make verify PYTHON=/usr/bin/python3, or another that does" 2
  key=${said#"${said%%sha256 *}"} # a shim may have said more before it
  if [[ $status != 0 || -z $key ]]; then
    [[ -z $said ]] || echo "$said" >&2
    ((status != 3)) || exit 1 # that is what is wrong
    error "$PYTHON does not work as a Python" "make verify PYTHON=python3.12, or another that does" 2
  fi
  base_of "$key"
  if [[ ! -d $VENV ]] || { [[ -z $old_key ]] && is_empty "$VENV"; }; then
    reason="there is none yet"
  elif [[ -z $old_key ]]; then
    reason="its stamp is missing"
  elif [[ $key != "$old_key" ]]; then
    reason="changed: $(LC_ALL=C comm -23 <(sort <<<"$key") <(sort <<<"$old_key") | grep -v ^sha256 | cut -d' ' -f1 | paste -sd' ')"
  elif [[ -n $lost ]]; then
    reason=$lost
  elif [[ -n $base_lost ]]; then
    reason="its base layer: $base_lost"
  else
    return 0
  fi
  return 1
}

is_current && exit

# Beside the venv: the lock, and what is not the venv yet or no longer.
beside=$VENV.lab new=$VENV.lab/new old=$VENV.lab/old parked=$VENV.lab/parked
irreplaceable() { # WHY
  local fix="make verify VENV='$VENV/venv'"
  [[ -z $link ]] || fix="ln -sfn '$VENV/venv' '$link'; then: make venv"
  error "$VENV cannot be replaced by a new venv: $1" "$fix"
}

! mountpoint -q -- "$VENV" || irreplaceable "it is a mount point"
if ! is_labs_beside "$VENV" && [[ -n $(find "$beside/" -mindepth 1 ! \( -name lock -empty \) -print -quit 2>/dev/null) ]]; then
  foreign "$beside"
fi
fix="make verify VENV=/a/folder/on/a/local/disk"
! inside || fix=$(local_clone) # where the container sees nothing else
# Children that write hold the lock, too, so a killed build's are waited for.
until
  if ! { mkdir -p -- "$beside" && exec {lock}>>"$beside/lock"; } 2>/dev/null; then
    ! is_empty "$VENV" || irreplaceable "$(dirname -- "$VENV") is not writable"
    error "$beside is not writable" "ls -ld '$(dirname -- "$VENV")'; or make verify VENV=/a/folder/of/yours"
  fi
  take_lock "$lock" "venv: another run is building $VENV" "$fix"
  [[ $beside/lock -ef /proc/self/fd/$lock ]] # else make clean has removed it meanwhile
do
  exec {lock}>&-
done
[[ -s $beside/lock ]] || { echo "$MARK" >&"$lock"; } 2>/dev/null || true # a full disk is met and named by the build
[[ -d $VENV || ! -d $old ]] || mv -T -- "$old" "$VENV" # killed between the two renames
if ! is_current && [[ -d $VENV && $key == "$(cat "$parked/.requirements_hash" 2>/dev/null)" ]]; then
  # Another engine's venv is in place, and this one was put aside for it: they change places.
  mv -T -- "$VENV" "$old" && mv -T -- "$parked" "$VENV" && mv -T -- "$old" "$parked"
fi
is_current && exit

STRICT=0 env/system/install.sh
trap 'exit 143' TERM HUP # once the build has ended, and not while it writes
if [[ -n $base ]]; then
  ensure_base
  is_current && exit
  name_venv
fi
keep_list "$VENV"
takes_turns=0
if [[ $old_key == sha256\ * && $(where <<<"$key") != "$(where <<<"$old_key")" ]]; then
  takes_turns=1 # the host's and the container's, without being built anew: one is put aside, and what was there goes
  keep_list "$parked"
fi
echo "venv: building $VENV ($reason)" >&2
rm -rf -- "$new" "$old"
trap 'rm -rf -- "$new"' EXIT
"$PYTHON" -IB env/venv_build.py "$new" || exit
{ inventory "$new" >"$new/.inventory" && echo "$key" >"$new/.requirements_hash"; } ||
  error "venv: the stamp could not be written" "df -h .; then: make venv"
if [[ -d $VENV ]]; then
  chmod --reference="$VENV" -- "$new"
  mv -T -- "$VENV" "$old"
fi
mv -T -- "$new" "$VENV"
if ((takes_turns)); then
  rm -rf -- "$parked"
  mv -T -- "$old" "$parked"
fi
rm -rf -- "$old"
