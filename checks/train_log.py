"""What a training leaves: its learning curve and the memory it took; and how far it is, on stderr."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from checks import train_watch


def resident_memory(pids: list[int]) -> int:
    """Return the resident memory of these processes, shared pages included, in MiB (Linux)."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


class TrainingLog(BaseCallback):
    """Shows progress on stderr and records the learning curve and the memory.

    curve: one [timesteps, mean return of the last 100 training episodes, or None] for each rollout.
    memory: the resident memory after each rollout of this process and those that simulate, MiB.
    """

    def __init__(self, total_steps: int):
        super().__init__()
        self.total_steps = total_steps
        self.curve: list[tuple[int, float | None]] = []
        self.memory: list[int] = []

    def _on_training_start(self) -> None:
        self.started = time.perf_counter()
        self.bar = tqdm(total=self.total_steps, unit=" steps", leave=False, disable=not sys.stderr.isatty())

    def _on_step(self) -> bool:
        train_watch.alive("a step")
        self.bar.update(self.training_env.num_envs)
        return True

    def _on_rollout_end(self) -> None:
        train_watch.alive("an update")
        episodes = [episode["r"] for episode in self.model.ep_info_buffer]
        mean_return = round(float(np.mean(episodes)), 4) if episodes else None
        self.curve.append((self.num_timesteps, mean_return))
        self.memory.append(resident_memory([os.getpid(), *(process.pid for process in self.training_env.processes)]))
        if self.bar.disable:
            rate = self.num_timesteps / (time.perf_counter() - self.started)
            shown = "" if mean_return is None else f", return {mean_return:.2f}"
            print(
                f"train: {self.num_timesteps:,} of {self.total_steps:,} steps, {rate:,.0f} steps/s{shown}",
                file=sys.stderr,
                flush=True,
            )
        else:
            self.bar.set_postfix_str("" if mean_return is None else f"return {mean_return:.2f}")

    def _on_training_end(self) -> None:
        self.bar.close()
