"""What training needs and is slow to import: imported by the process that trains, and by the server of its workers."""

import contextlib

with contextlib.suppress(Exception):  # who uses it imports it again, and says what is wrong
    import stable_baselines3  # noqa: F401
    import torch

    from checks import fetch  # noqa: F401

    torch.optim.SGD([torch.zeros(1)])  # the first optimizer imports a second's worth of torch
