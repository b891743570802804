"""The checks judge the machine: one question each, one file each, runnable alone.

    python -m checks.check_gpu       does the GPU compute, and compute right?
    python -m checks.check_mujoco    do the Fetch environments obey?
    python -m checks.check_render    is the robot in the picture, and who drew it?
    python -m checks.check_train     does PPO train, save and load?

`python -m checks --help` shows the same under the names of the protocol (docs/protocol.md). A check's parts are named
after it: gpu_errors.py, render_probe.py, …; what is left is shared.
"""

# In the order of the chain: the protocol's name of each check, and its own.
CHECKS = {"gpu": "gpu", "mujoco": "mujoco", "render": "render", "ppo-smoke": "train"}
