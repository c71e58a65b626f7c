"""Schedules by share of the time budget, the running clock, and even dealing of tiers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

FLOOR = 0.02  # of the learning rate is left at the end
RAMP = 0.05  # share over which the critic's weight rises

Clock = Callable[[], float]


class Budget:
    """Time or steps spent of a budget; goes on where an earlier run stopped.

    Time makes a run fill what a machine has; steps make it repeat exactly.

    Args:
        seconds: the whole budget, or None when it is `steps`.
        steps: the whole budget in steps.
        spent: seconds that an earlier run has spent.
        clock: seconds, ever growing; tests bring their own.
    """

    def __init__(
        self,
        seconds: float | None,
        steps: int | None = None,
        spent: float = 0.0,
        clock: Clock = time.monotonic,
    ) -> None:
        if (seconds is None) == (steps is None):
            raise ValueError("a budget is either seconds or steps")
        self.seconds, self.steps, self.clock = seconds, steps, clock
        self.begun = clock() - spent

    @property
    def name(self) -> str:
        """For people and for comparison: "30 min" or "500 steps"."""
        return f"{self.steps} steps" if self.seconds is None else f"{self.seconds / 60:g} min"

    @property
    def spent(self) -> float:
        """Seconds spent, earlier runs included."""
        return self.clock() - self.begun

    def share(self, step: int) -> float:
        """Share of the budget that is spent after `step` steps; 1 or more when it is over."""
        return self.spent / self.seconds if self.steps is None else step / self.steps


def learning_rate(
    peak: float, step: int, warmup_steps: int, share: float, decay_from: float
) -> float:
    """Linear warm-up by steps, then constant, then a cosine down to 2 % from `decay_from` on."""
    rate = peak * min(1.0, (step + 1) / max(1, warmup_steps))
    if share < decay_from:
        return rate
    angle = math.pi * min(1.0, (share - decay_from) / max(1e-9, 1 - decay_from))
    return rate * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(angle)))


def ramp(share: float, start: float) -> float:
    """0 before `start`, rising to 1 over the next 5 % of the budget."""
    return min(1.0, max(0.0, (share - start) / RAMP))


def deal(tiers: Sequence[int], n_crops: int, random: np.random.Generator) -> Tensor:
    """Deal tiers to crops evenly: whole random permutations, the last one cut; (n_crops,) int64."""
    rounds = -(-n_crops // len(tiers))
    return torch.from_numpy(np.concatenate([random.permutation(tiers) for _ in range(rounds)]))[
        :n_crops
    ]
