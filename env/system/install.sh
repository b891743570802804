#!/usr/bin/env bash
# Installs what is missing of the system packages in env/system/packages.txt where it may (root, apt); elsewhere prints
# the command that does. The gate runs it when it builds, and so does the image's build.
#
#     env/system/install.sh [[--reinstall] PACKAGE …]    PACKAGE: known to be missing, whatever the list says
#
# STRICT=1, as the image's build sets it: a package that is not optional and cannot be installed is an error.
# APT_SNAPSHOT: the date to install from, as apt's --snapshot takes it (apt 2.7 and later).
set -euo pipefail

packages=("$@")
brings=() optional=' '
libraries=$(/sbin/ldconfig -p)
while read -r package name kind _; do
  [[ $package == '#'* ]] && continue
  [[ $kind != optional ]] || optional+="$package "
  [[ $libraries == *"$name"* ]] || command -v "$name" >/dev/null || { packages+=("$package") brings+=("$name"); }
done <"${BASH_SOURCE[0]%/*}/packages.txt"
((${#packages[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  echo "warning: system: not installed: ${brings[*]}" >&2
  echo "fix: install the packages that bring them (on Debian: ${packages[*]})" >&2
elif ((EUID)); then
  echo "warning: system: not installed: ${packages[*]}; only root can install them" >&2
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
      echo "warning: system: this distribution does not offer $package; the lab works without it" >&2
    else
      offered+=("$package")
    fi
  done
  if ((${#offered[@]})) && ! "${apt[@]}" install -y --no-install-recommends "${offered[@]}" >>"$log" 2>&1; then
    grep -E '^(E|Err|dpkg: error)|No space left' "$log" | tail -n 5 >&2 || tail -n 5 "$log" >&2
    echo "warning: system: apt could not install ${offered[*]}" >&2
    echo "fix: apt-get update && apt-get install -y ${offered[*]}" >&2
    [[ ${STRICT:-0} == 0 ]] || exit 1
  fi
fi
