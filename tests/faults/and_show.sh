#!/usr/bin/env bash
# Run a command, then show a file and what else is in its folder: before the namespace ends, and a mount there with it.
#
#     tests/faults/and_show.sh FILE COMMAND …
set -euo pipefail
file=$1
"${@:2}" || status=$?
cat "$file"
ls -A "${file%/*}"
exit "${status:-0}"
