"""The checks judge the machine: one question each, one file each, runnable alone.

    python -m checks.check_gpu       does the GPU compute, and compute right?
    python -m checks.check_mujoco    do the Fetch environments obey?
    python -m checks.check_render    is the robot in the picture, and who drew it?
    python -m checks.check_train     does PPO train, save and load?

`python -m checks --help` shows the same under the names of the protocol (docs/protocol.md).
"""
