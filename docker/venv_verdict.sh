#!/usr/bin/env bash
# Says in one line what the lab runs on. Run in the lab, so the venv is current.
set -euo pipefail
echo "ok        venv     $ENGINE · $(<"$VIRTUAL_ENV/.contents")"
