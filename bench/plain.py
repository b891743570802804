"""The plain recipe: the four tests of the protocol, written with the libraries' defaults.

    python -m bench.plain gpu | list-envs | render --out F | ppo-smoke --out F

What the lab's speed is measured against: DummyVecEnv, Stable-Baselines3's own device, and 50,000 steps asked for, which
1,024 × 8 a rollout rounds up to 57,344.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time

ENV = "FetchReachDense-v4"


def gpu() -> None:
    """Test 1: ask the driver, where there is one."""
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=True)


def list_envs() -> None:
    """Test 2: list the Fetch environments, make one, reset it."""
    import gymnasium
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    print(*sorted(name for name in gymnasium.registry if name.startswith("Fetch")), sep="\n")
    env = gymnasium.make(ENV)
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"observation", "achieved_goal", "desired_goal"}
    env.close()


def render(out: str) -> None:
    """Test 3: draw one frame into a PNG."""
    import gymnasium
    import gymnasium_robotics
    import imageio

    gymnasium.register_envs(gymnasium_robotics)
    env = gymnasium.make(ENV, render_mode="rgb_array")
    env.reset(seed=0)
    imageio.imwrite(out, env.render())
    env.close()


def ppo_smoke(out: str, n_envs: int, total_steps: int, seed: int) -> None:
    """Test 4: train, save, load; print as JSON how many steps were taken, how fast and where."""
    import gymnasium
    import gymnasium_robotics
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    gymnasium.register_envs(gymnasium_robotics)
    env = make_vec_env(ENV, n_envs=n_envs, seed=seed)
    model = PPO("MultiInputPolicy", env, n_steps=1024, batch_size=256, seed=seed, verbose=1)
    started = time.perf_counter()
    model.learn(total_steps)
    seconds = time.perf_counter() - started
    model.save(out)
    env.close()
    PPO.load(out)
    print(
        json.dumps(
            {
                "timesteps": model.num_timesteps,
                "steps_per_second": model.num_timesteps / seconds,
                "device": model.device.type,
            }
        )
    )


def main() -> None:
    """Run what is asked for."""
    arguments = argparse.ArgumentParser(
        prog="python -m bench.plain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("step", choices=["gpu", "list-envs", "render", "ppo-smoke"])
    arguments.add_argument("--n-envs", type=int, default=8)
    arguments.add_argument("--total-steps", type=int, default=50_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out")
    chosen = arguments.parse_args()
    if chosen.step in ("render", "ppo-smoke") and not chosen.out:
        arguments.error(f"{chosen.step} wants --out")
    if chosen.step == "gpu":
        gpu()
    elif chosen.step == "list-envs":
        list_envs()
    elif chosen.step == "render":
        render(chosen.out)
    else:
        ppo_smoke(chosen.out, chosen.n_envs, chosen.total_steps, chosen.seed)


if __name__ == "__main__":
    main()
