# shellcheck shell=bash
# Sourced: did the lab make this venv, and is it as it was installed? Its files are listed in its .inventory, which is
# written when it is built. And of a kit: did the lab make it, and what of it?

MARK="of the robotics lab: what is not the venv yet, or no longer" # in the lock beside a venv

is_labs() { # VENV: did the lab make it? A damaged one may lack its stamp, or its pyvenv.cfg
  grep -qsx 'prompt = robotics-lab' -- "$1/pyvenv.cfg" ||
    { grep -qsxE 'sha256 [0-9a-f]{64}' -- "$1/.requirements_hash" && grep -qs '^repository /' -- "$1/.requirements_hash"; }
}

is_labs_beside() { # VENV: is VENV.lab the lab's? Those of earlier versions have no mark, but nothing else in them either
  local beside=$1.lab
  ! grep -qsxF "$MARK" -- "$beside/lock" || return 0
  [[ -f $beside/lock ]] && { is_labs "$1" || is_labs "$beside/new" || is_labs "$beside/old" || is_labs "$beside/parked"; } &&
    [[ -z $(find "$beside/" -mindepth 1 -maxdepth 1 ! -name lock ! -name new ! -name old ! -name parked) ]]
}

# shellcheck disable=SC2034
KIT_PARTS=(SHA256SUMS image.tar wheels kit.txt) # the last tells that the rest is the lab's

is_kit() { # FOLDER
  grep -qs '^# A kit of the robotics lab' -- "$1/kit.txt"
}

entries() { # FOLDER: the names of what is in it, on one line
  find "$1/" -mindepth 1 -maxdepth 1 -printf ' %f\n' | LC_ALL=C sort | tr -d '\n'
}

is_empty() { # FOLDER
  local entry
  [[ -d $1 ]] && entry=$(ls -A -- "$1") && [[ -z $entry ]]
}

inventory() { # VENV: its files that may be read, with size and time, less what Python caches; of torch's 9,000 headers the names
  (cd -- "$1" && find bin lib pyvenv.cfg .contents -name __pycache__ -prune -o -type d -o -path '*/torch/include/*' -print \
    -o ! -readable -o -printf '%s %T@ %p\n' | LC_ALL=C sort)
}

damage() { # VENV: the first of its files that is not as it was installed; nothing: all are
  local first=.inventory
  [[ ! -s $1/.inventory ]] || first=$(inventory "$1" 2>/dev/null | LC_ALL=C comm -13 - "$1/.inventory" | head -n 1) || true
  [[ -z $first ]] || echo "damaged: ${first##* } is not as installed"
}

added() { # VENV: its packages that were not installed with it, NAME-VERSION each
  local installed info name
  installed=$(grep -o '/[^/]*[.]dist-info/METADATA$' -- "$1/.inventory" 2>/dev/null) || return 0
  for info in "$1"/lib/python*/site-packages/*.dist-info/METADATA; do
    name=/${info#"$1"/lib/python*/site-packages/}
    [[ $installed == *"$name"* || ! -e $info ]] || basename -- "${info%/METADATA}" .dist-info
  done
}

added_startup() { # VENV: what every Python of it runs at its start, and was not installed with it
  local installed file
  installed=$(grep -o '/[^/]*[.]pth$' -- "$1/.inventory" 2>/dev/null) || return 0
  for file in "$1"/lib/python*/site-packages/{*.pth,sitecustomize*,usercustomize*}; do
    [[ ! -e $file || $installed == *"/${file##*/}"* ]] || echo "${file##*/}"
  done
}

keep_list() { # VENV: names its packages that were not installed with it, which go when it does; a list of them stays
  local packages
  mapfile -t packages < <(added "$1")
  ((!${#packages[@]})) || "$PYTHON" -IB env/venv_dropped.py "$1" "$VENV.lab/dropped.txt" "${packages[@]}"
}
