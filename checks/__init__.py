"""The checks judge the machine: one question each, one file each, runnable alone: `python -m checks.check_gpu`.

`python -m checks --help` lists them under the names of the protocol (docs/protocol.md). A check's parts are named after
it: gpu_errors.py, render_probe.py, …; what is left is shared.
"""

# In the order of the chain: the protocol's name of each check, and its own.
CHECKS = {"gpu": "gpu", "mujoco": "mujoco", "render": "render", "ppo-smoke": "train"}
