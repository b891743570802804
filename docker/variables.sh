# shellcheck shell=bash
# Sourced in the lab, after the venv is ready. What each is for: docs/variables.md.
export MUJOCO_GL=${MUJOCO_GL:-egl}
export PYOPENGL_PLATFORM=${PYOPENGL_PLATFORM:-$MUJOCO_GL}
export PYTHONNOUSERSITE=1 # ~/.local would come between the venv and the base layer
# EGL draws on the first GPU of all, whatever CUDA_VISIBLE_DEVICES says. MuJoCo is told the one that trains, where
# check-render has found its number (checks/render_devices.py). A number of the user's stays.
if [[ -z ${MUJOCO_EGL_DEVICE_ID:-} || $MUJOCO_EGL_DEVICE_ID == "${LAB_EGL_DEVICE_ID:-}" ]]; then
  unset MUJOCO_EGL_DEVICE_ID LAB_EGL_DEVICE_ID
  found=${XDG_CACHE_HOME:-${HOME:-}/.cache}/robotics-lab/egl-devices
  if [[ -e $found ]]; then
    first=${CUDA_VISIBLE_DEVICES-0} first=${first%%,*}
    while read -r gpu ordinal number; do
      [[ $ordinal == "$first" || ($first == GPU-* && $gpu == "$first"*) ]] || continue
      grep -qsF -- "$gpu" /proc/driver/nvidia/gpus/*/information || continue # another machine's
      ((number == 0)) || export MUJOCO_EGL_DEVICE_ID=$number LAB_EGL_DEVICE_ID=$number
    done <"$found"
    unset first gpu ordinal number
  fi
  unset found
fi
unset PYTHONHOME PYTHONPATH PYTHONINSPECT PYTHONIOENCODING PYTHONOPTIMIZE
unset PYTHONDONTWRITEBYTECODE # torch would be compiled anew in every process: 3 s
