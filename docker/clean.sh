#!/usr/bin/env bash
# Removes what the lab made in this clone, and says what: what .gitignore lists, and of the venv, the kit and the evidence
# what the lab put there. A folder with anything else in it stays, and so does one that a link leads to.
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
. env/prelude.sh
. env/inventory.sh
shopt -s nullglob

delete() { rm -rf -- "$@" || error "not all can be removed; the reason is above" "sudo make clean"; }

remove() { # PATH …
  local path
  for path; do
    [[ -e $path || -L $path ]] || continue
    delete "$path"
    echo "removed $path"
  done
}

remove_folder() { # FOLDER …: if nothing is left in it
  local folder
  for folder; do
    if ! is_empty "$folder"; then
      [[ ! -d $folder ]] || echo "kept $folder:$(entries "$folder")"
    elif [[ -L $folder ]]; then
      echo "emptied $(readlink -m -- "$folder"), removed the link $folder"
      rm -- "$folder"
    else
      remove "$folder"
    fi
  done
}

foreign() { # FOLDER
  [[ ! -e $1 ]] || is_empty "$1" || echo "kept $1: the lab did not make it"
}

if [[ -d .lock.ready ]]; then # the rest of a make lock that was killed while it installed its files: they follow
  "$PYTHON" -IB env/lock/swap.py || error ".lock.ready/ holds the rest of a new lock, and PYTHON=$PYTHON cannot install it" "make venv"
fi

venv=$VENV
follow_link
locks=(env/lock/{base_image.sh,make_kit.sh,swap.py})
! is_labs_beside "$VENV" || locks+=("$VENV.lab/lock")
for file in "${locks[@]}"; do
  [[ -w $file ]] || continue
  exec {lock}>>"$file"
  # Where nothing can be locked, no other run is at work either.
  take_lock "$lock" '' '' || (($? != 75)) ||
    error "another run is at work here: $file is locked" "wait until that has ended, then: make clean"
done

for folder in "$VENV" "$VENV.lab/parked"; do
  if is_labs "$folder" && [[ -n $(added "$folder") ]]; then
    [[ -e $VENV.lab ]] || { mkdir -- "$VENV.lab" && echo "$MARK" >"$VENV.lab/lock"; }
    keep_list "$folder" || added "$folder" | sed 's/^/not in the lock, and on no list: /'
  fi
done
if is_labs_beside "$VENV"; then
  delete "$VENV.lab"/{new,old,parked}
  [[ -n $(find "$VENV.lab/" -mindepth 1 ! -name lock) ]] || delete "$VENV.lab/lock"
  remove_folder "$VENV.lab"
else
  foreign "$VENV.lab"
fi
if is_labs "$VENV"; then
  mapfile -d '' -t entries < <(find "$VENV/" -mindepth 1 -maxdepth 1 ! -name pyvenv.cfg -print0)
  delete "${entries[@]}"
  delete "$VENV/pyvenv.cfg" # last: it tells that the rest is the lab's
  remove_folder "$venv"
else
  foreign "$VENV"
fi

if is_kit kit; then
  delete "${KIT_PARTS[@]/#/kit/}"
  remove_folder kit
else
  foreign kit
fi
remove proof/{bench,gpu,mujoco,render,run,train}{,-trial}.json proof/{bench,ppo_trial.zip} proof/tensorboard/ppo_smoke_*
delete proof/.bench.json proof/.{gpu,mujoco,render,run,train}{,-trial}-????????.json proof/.ppo_trial-????????.zip # cut off
rmdir -- proof/tensorboard 2>/dev/null || true
remove_folder proof

while read -r pattern; do
  # shellcheck disable=SC2086
  case $pattern in
    '' | '#'* | /.venv* | /kit/ | /proof/) ;;
    /*) pattern=${pattern#/} && remove ${pattern%/} ;;
    *) find bench checks env tests -name "${pattern%/}" -prune -exec rm -rf -- {} + ;;
  esac
done <.gitignore
