#!/usr/bin/env bash
# The gate: leaves a proven venv of requirements.txt at $VENV, or the old one and the reason.
#
# Current means: the key (env/venv.py) is the one in $VENV/.requirements_hash, and every file that was
# installed is still there in its size. Else a new venv is built beside the old one and swapped in by
# rename. Kill it at any moment: the next run repairs. Two at once: one waits.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
. env/error.sh
: "${PYTHON:=python3}" "${VENV:=.venv}"

program=$(command -v "$PYTHON") ||
  error "PYTHON=$PYTHON is not a program here" "make verify PYTHON=python3.12, or another that is installed" 2
PYTHON=$program # from here on: while another run builds, PATH may come to mean the venv
if [[ ${PYTHON%/*} -ef $VENV/bin ]]; then # the venv is active: take the interpreter that it was made from
  PYTHON=$(sed -n 's/^python //p' "$VENV/.requirements_hash" 2>/dev/null) || :
  : "${PYTHON:=$(readlink -f "$program")}"
fi

inventory() { # every file of the venv with its size, less what Python caches
  (cd -- "$1" && find bin lib -name __pycache__ -prune -o ! -type d -printf '%s %p\n' | LC_ALL=C sort)
}

damage() { # the first file that is not as it was installed
  inventory "$VENV" 2>/dev/null | LC_ALL=C comm -13 - "$VENV/.inventory" 2>&1 | head -n 1
}

is_current() {
  local lost
  # Python may start slowly (behind a pyenv shim); the files are looked over meanwhile.
  exec {answer}< <("$PYTHON" -I env/venv.py key)
  lost=$(damage) || true
  key=$(cat <&"$answer")
  case $(wait $! && echo 0 || echo $?) in
    0) ;;
    3) exit 1 ;; # it has said what is wrong
    *) error "$PYTHON does not run as a Python" "make verify PYTHON=python3.12, or another that does" ;;
  esac
  exec {answer}<&-
  old_key=$(cat "$VENV/.requirements_hash" 2>/dev/null) || true
  if [[ ! -d $VENV ]]; then
    reason="there is none yet"
  elif [[ -z $old_key ]]; then
    reason="its stamp is missing"
  elif [[ $key != "$old_key" ]]; then
    reason="changed: $(LC_ALL=C comm -23 <(sort <<<"$key") <(sort <<<"$old_key") | grep -v ^sha256 | cut -d' ' -f1 | paste -sd' ')"
  elif [[ -n $lost ]]; then
    reason="damaged: ${lost#* } is not as installed"
  else
    return 0
  fi
  return 1
}

is_current && exit

# Whoever writes holds the lock, children included: one that outlives a killed build is waited for.
mkdir -p -- "$(dirname -- "$VENV")"
exec {lock}>"$VENV.lock"
if ! flock --nonblock "$lock"; then
  echo "venv: another run is building $VENV; waiting for it" >&2
  flock "$lock"
fi
new=$VENV.new old=$VENV.old
[[ -d $VENV || ! -d $old ]] || mv -T -- "$old" "$VENV" # killed between the two renames
is_current && exit

if [[ -e $VENV && ! -e $VENV/.requirements_hash ]] && ! grep -qx 'prompt = robotics-lab' "$VENV/pyvenv.cfg" 2>/dev/null; then
  error "$VENV is there, and the lab did not make it" "rm -rf '$VENV', or choose another place: make verify VENV=.venv-lab"
fi
echo "venv: building $VENV ($reason)" >&2
rm -rf -- "$new" "$old"
trap 'rm -rf -- "$new"' EXIT
"$PYTHON" -I env/venv.py build "$new" || exit
{ inventory "$new" >"$new/.inventory" && echo "$key" >"$new/.requirements_hash"; } ||
  error "venv: the stamp could not be written" "df -h .; then: make venv"
[[ ! -e $VENV ]] || mv -T -- "$VENV" "$old"
mv -T -- "$new" "$VENV"
rm -rf -- "$old"
