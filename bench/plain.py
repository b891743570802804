"""The plain recipe: the four tests of the protocol, written with the libraries' defaults.

    python -m bench.plain gpu | list-envs | render FILE | ppo-smoke FILE [SEED [ENVIRONMENTS [STEPS]]]

What the lab's speed is measured against: DummyVecEnv, Stable-Baselines3's own device, and 50,000 steps asked for, which
1,024 × 8 a rollout rounds up to 57,344.
"""

import json
import shutil
import subprocess
import sys
import time

ENV = "FetchReachDense-v4"


def gpu() -> None:
    """Test 1: ask the driver, where there is one."""
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=True)


def list_envs() -> None:
    """Test 2: list the Fetch environments, make one, reset it."""
    gymnasium = registered()
    print(*sorted(name for name in gymnasium.registry if name.startswith("Fetch")), sep="\n")
    env = gymnasium.make(ENV)
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"observation", "achieved_goal", "desired_goal"}
    env.close()


def render(out: str) -> None:
    """Test 3: draw one frame into a PNG."""
    import imageio

    env = registered().make(ENV, render_mode="rgb_array")
    env.reset(seed=0)
    imageio.imwrite(out, env.render())
    env.close()


def ppo_smoke(out: str, seed: str = "0", n_envs: str = "8", total_steps: str = "50_000") -> None:
    """Test 4: train, save, load; print as JSON how many steps were taken, how fast and where."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    registered()
    env = make_vec_env(ENV, n_envs=int(n_envs), seed=int(seed))
    model = PPO("MultiInputPolicy", env, n_steps=1024, batch_size=256, seed=int(seed), verbose=1)
    started = time.perf_counter()
    model.learn(int(total_steps))
    rate = model.num_timesteps / (time.perf_counter() - started)
    model.save(out)
    env.close()
    PPO.load(out)
    print(json.dumps({"timesteps": model.num_timesteps, "steps_per_second": rate, "device": model.device.type}))


def registered():
    """Return gymnasium, which knows the robots from now on."""
    import gymnasium
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    return gymnasium


if __name__ == "__main__":
    {"gpu": gpu, "list-envs": list_envs, "render": render, "ppo-smoke": ppo_smoke}[sys.argv[1]](*sys.argv[2:])
