"""What the processes of checks/workers.py need: imported once, by the server that they are forked from."""

import contextlib

with contextlib.suppress(Exception):  # the process that trains imports the same, and says what is wrong
    import stable_baselines3  # noqa: F401

    from checks import fetch  # noqa: F401
