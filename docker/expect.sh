#!/usr/bin/env bash
# Should this machine have a GPU? Prints gpu or cpu: the value of EXPECT; for auto, what the hardware shows.
#
# Looks at the hardware, not at the driver: a GPU whose driver is broken is still a GPU. In a container EXPECT is never
# auto: docker/dev.sh has looked at the host. Sourced (docker/engine.sh), expect sets EXPECT, and gpu to what it found.
set -euo pipefail
unset CDPATH
root=${root:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)}
. "$root/env/prelude.sh"

nvidia_gpu() { # where this machine shows an NVIDIA GPU; status 1 if nowhere
  local class device node
  for class in /sys/bus/pci/devices/*/class; do
    [[ -e $class ]] || continue
    device=${class%/class}
    # 0x03: display and 3D controllers. NVIDIA also makes audio functions and bridges.
    if [[ $(<"$device/vendor") == 0x10de && $(<"$class") == 0x03* ]]; then
      echo "PCI device ${device##*/}"
      return
    fi
  done
  for node in /dev/nvidia[0-9]* /proc/driver/nvidia/gpus/*; do
    [[ ! -e $node ]] || { echo "$node" && return; }
  done
  # Tegra boards have no PCI entry for their GPU.
  grep -qaE 'nvidia,(tegra|gb10)' /proc/device-tree/compatible 2>/dev/null && echo /proc/device-tree/compatible
}

expect() {
  case ${EXPECT:=auto} in auto | gpu | cpu) ;; *) error "EXPECT=$EXPECT is not one of auto, gpu, cpu" "EXPECT=auto" 2 ;; esac
  gpu=$(nvidia_gpu) || true
  [[ $EXPECT != auto ]] || EXPECT=$([[ -n $gpu ]] && echo gpu || echo cpu)
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  expect
  echo "$EXPECT"
fi
