# shellcheck shell=bash
# Sourced: is a venv as it was installed? Its files are listed in its .inventory, which is written when it is built.

inventory() { # VENV: its files with size and time, less what Python caches; of torch's 9,000 headers the names
  (cd -- "$1" && find bin lib pyvenv.cfg .contents -name __pycache__ -prune -o -type d -o -path '*/torch/include/*' -print \
    -o -printf '%s %T@ %p\n' | LC_ALL=C sort)
}

damage() { # VENV: the first of its files that is not as it was installed; nothing: all are
  local first=.inventory
  [[ ! -s $1/.inventory ]] || first=$(inventory "$1" 2>/dev/null | LC_ALL=C comm -13 - "$1/.inventory" | head -n 1) || true
  [[ -z $first ]] || echo "damaged: ${first##* } is not as installed"
}
