"""The Fetch environments, as the checks make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO

import gymnasium

# gymnasium-robotics 1.4.2 prints advice about its Adroit environments whenever it is imported.
with redirect_stderr(StringIO()):
    import gymnasium_robotics

gymnasium.register_envs(gymnasium_robotics)

SMOKE_ENV = "FetchReachDense-v4"  # the environment that is rendered and trained
ENV_IDS = tuple(
    f"Fetch{task}{reward}-v4" for task in ("Reach", "Push", "Slide", "PickAndPlace") for reward in ("", "Dense")
)


def registered() -> list[str]:
    """Return the ids of the registered Fetch environments that can be made.

    Those built on mujoco_py (Fetch*-v1) are registered too, but mujoco_py itself is gone.
    """
    return sorted(
        id
        for id, spec in gymnasium.registry.items()
        if id.startswith("Fetch") and "MujocoPy" not in str(spec.entry_point)
    )


@contextmanager
def made(env_id: str, **options) -> Iterator[gymnasium.Env]:
    """Make an environment and close it again, which frees its GL context too."""
    env = gymnasium.make(env_id, **options)
    try:
        yield env
    finally:
        env.close()
