# shellcheck shell=bash
# Sourced in the lab, after the venv is ready. What each is for: docs/variables.md.
export MUJOCO_GL=${MUJOCO_GL:-egl}
export PYOPENGL_PLATFORM=${PYOPENGL_PLATFORM:-$MUJOCO_GL}
export PYTHONNOUSERSITE=1 # ~/.local would come between the venv and the base layer
unset PYTHONHOME PYTHONPATH PYTHONINSPECT PYTHONIOENCODING PYTHONOPTIMIZE
unset PYTHONDONTWRITEBYTECODE # torch would be compiled anew in every process: 3 s
