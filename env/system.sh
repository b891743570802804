#!/usr/bin/env bash
# Sees to the system libraries in env/system.txt: installs what is missing where it may (root, apt),
# else prints the one command that does. Arguments name further packages that are known to be missing.
# STRICT=1, as the image's build sets it: what is offered and cannot be installed is an error.
# APT_SNAPSHOT: the date to install from, as apt's --snapshot takes it (apt 2.7 and later).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
seen=${VENV:-.venv}/.system_missing

packages=("$@")
brings=()
libraries=$(/sbin/ldconfig -p)
while read -r package name _; do
  [[ $package == '#'* ]] && continue
  [[ $libraries == *"$name"* ]] || command -v "$name" >/dev/null || { packages+=("$package") brings+=("$name"); }
done <env/system.txt
((${#packages[@]})) || exit 0

# Said once for each machine and each list, not at every command.
[[ $(cat "$seen" 2>/dev/null) != "$(uname -n) ${packages[*]}" ]] || exit 0

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
  "${apt[@]}" update >"$log" 2>&1 || [[ -z ${APT_SNAPSHOT:-} ]] || {
    cat "$log" >&2
    exit 1
  } # without a date an old list may do; if not, what follows says so
  offered=()
  for package in "${packages[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      offered+=("$package")
    else
      echo "warning: system: this distribution does not offer $package" >&2
    fi
  done
  if ((${#offered[@]})) && ! "${apt[@]}" install -y --no-install-recommends "${offered[@]}" >>"$log" 2>&1; then
    grep -E '^(E|W|Err):' "$log" | tail -n 3 >&2 || tail -n 3 "$log" >&2
    echo "warning: system: apt could not install ${offered[*]}" >&2
    echo "fix: apt-get update && apt-get install -y ${offered[*]}" >&2
    [[ ${STRICT:-0} == 0 ]] || exit 1
  fi
fi
[[ ! -d ${seen%/*} ]] || echo "$(uname -n) ${packages[*]}" >"$seen"
