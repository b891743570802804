"""On a GPU: the policy acts on the CPU, and learns on the GPU.

To act is eight observations through 10⁴ parameters, 6,250 times, each a wait for a dozen kernels; the CPU takes half of
that. The parameters are copied once a rollout.
"""

from __future__ import annotations

import torch
from stable_baselines3 import PPO


def acting_on_cpu(algorithm: type[PPO]) -> type[PPO]:
    """Return the algorithm, whose rollouts a copy of its policy collects on the CPU; the copy is not saved."""

    class ActingOnCpu(algorithm):
        def collect_rollouts(self, *arguments, **options) -> bool:
            learner, device = self.policy, self.device
            with torch.random.fork_rng(devices=[]):  # its first values are not drawn from training's numbers
                actor = type(learner)(**learner._get_constructor_parameters())
            actor.load_state_dict(learner.state_dict())
            self.policy, self.device = actor, torch.device("cpu")
            try:
                return super().collect_rollouts(*arguments, **options)
            finally:
                self.policy, self.device = learner, device

    return ActingOnCpu
