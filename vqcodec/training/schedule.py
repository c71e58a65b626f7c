"""Schedules by share of the time budget, the running clock, and even dealing of tiers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

FLOOR = 0.02  # of the learning rate is left at the end
RAMP = 0.05  # share over which the critic's weight rises

Clock = Callable[[], float]


class Budget:
    """Time spent of a time budget; goes on where an earlier run stopped.

    Args:
        seconds: the whole budget.
        spent: seconds that an earlier run has spent.
        clock: seconds, ever growing; tests bring their own.
    """

    def __init__(self, seconds: float, spent: float = 0.0, clock: Clock = time.monotonic) -> None:
        self.seconds, self.clock = seconds, clock
        self.begun = clock() - spent

    @property
    def spent(self) -> float:
        """Seconds spent, earlier runs included."""
        return self.clock() - self.begun

    @property
    def share(self) -> float:
        """Share of the budget that is spent; 1 or more when it is over."""
        return self.spent / self.seconds


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


def deal(tiers: Sequence[int], n_crops: int) -> Tensor:
    """Deal tiers to crops evenly: whole random permutations, the last one cut; (n_crops,) int64."""
    rounds = -(-n_crops // len(tiers))
    order = torch.cat([torch.randperm(len(tiers)) for _ in range(rounds)])[:n_crops]
    return torch.tensor(list(tiers))[order]
