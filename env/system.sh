#!/usr/bin/env bash
# Sees to the system libraries in env/system.txt: installs what is missing where it may (root, apt),
# else prints the one command that does.
#
#     env/system.sh [--once] [[--reinstall] PACKAGE …]    PACKAGE: known to be missing, whatever the list says
#
# --once: what was said of this machine before is not said again, nor is apt tried again within an hour. STRICT=1, as the image's build has it:
# what is not optional and cannot be installed is an error. APT_SNAPSHOT: the date to install from, as apt's
# --snapshot takes it (apt 2.7 and later).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
seen=/dev/null
if [[ ${1:-} == --once ]]; then
  seen=${VIRTUAL_ENV:?}/.system_missing
  shift
fi

packages=("$@")
brings=() optional=' '
libraries=$(/sbin/ldconfig -p)
while read -r package name kind _; do
  [[ $package == '#'* ]] && continue
  [[ $kind != optional ]] || optional+="$package "
  [[ $libraries == *"$name"* ]] || command -v "$name" >/dev/null || { packages+=("$package") brings+=("$name"); }
done <env/system.txt
((${#packages[@]})) || exit 0
lacking="$(uname -n) ${packages[*]}" failed=''
case $(cat "$seen" 2>/dev/null) in
  "$lacking") exit 0 ;;
  "$lacking failed") [[ -z $(find "$seen" -mmin -60) ]] || exit 0 ;; # the network may be back by now
esac

if ! command -v apt-get >/dev/null; then
  echo "warning: system: not installed here: ${brings[*]}" >&2
  echo "fix: install the packages that bring them (on Debian: ${packages[*]})" >&2
elif ((EUID)); then
  echo "warning: system: not installed here: ${packages[*]}; only root may install them" >&2
  echo "fix: sudo apt-get install -y ${packages[*]}" >&2
else
  echo "system: installing ${packages[*]} (apt)" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 ${APT_SNAPSHOT:+--snapshot "$APT_SNAPSHOT"})
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  updated=1
  "${apt[@]}" update >"$log" 2>&1 || updated=0
  if [[ $updated == 0 && -n ${APT_SNAPSHOT:-} ]]; then
    cat "$log" >&2 # without a date, an old list may do
    exit 1
  fi
  offered=()
  for package in "${packages[@]}"; do
    # Simulated: a package may be listed and yet not go with the others of this release.
    if ((updated)) && [[ $optional == *" $package "* ]] && ! "${apt[@]}" install -s "$package" >/dev/null 2>&1; then
      echo "warning: system: this distribution does not offer $package, which the lab can do without" >&2
    else
      offered+=("$package")
    fi
  done
  if ((${#offered[@]})) && ! "${apt[@]}" install -y --no-install-recommends "${offered[@]}" >>"$log" 2>&1; then
    grep -E '^(E|Err|dpkg: error)|No space left' "$log" | tail -n 5 >&2 || tail -n 5 "$log" >&2
    echo "warning: system: apt could not install ${offered[*]}" >&2
    echo "fix: apt-get update && apt-get install -y ${offered[*]}" >&2
    [[ ${STRICT:-0} == 0 ]] || exit 1
    failed=' failed'
  fi
fi
{ echo "$lacking$failed" >"$seen"; } 2>/dev/null || true
