#!/usr/bin/env bash
# Prints where this machine shows an NVIDIA GPU, status 0; or nothing, status 1.
# Looks at the hardware, not at the driver: a GPU whose driver is broken is still a GPU.
set -euo pipefail
shopt -s nullglob

for class in /sys/bus/pci/devices/*/class; do
  device=${class%/class}
  # 0x03: display and 3D controllers. NVIDIA also makes audio functions and bridges.
  if [[ $(<"$device/vendor") == 0x10de && $(<"$class") == 0x03* ]]; then
    echo "PCI device ${device##*/}"
    exit
  fi
done
for node in /dev/nvidia[0-9]* /proc/driver/nvidia/gpus/*; do
  echo "$node"
  exit
done
# Tegra boards have no PCI entry for their GPU.
if grep -qaE 'nvidia,(tegra|gb10)' /proc/device-tree/compatible 2>/dev/null; then
  echo /proc/device-tree/compatible
  exit
fi
exit 1
