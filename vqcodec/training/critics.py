"""The critic: a PatchGAN with hinge losses and LeCam regularisation.

Sources: Isola et al. 2017 (PatchGAN, arXiv 1611.07004); Tseng et al. 2021 (LeCam, arXiv
2104.03310).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PatchCritic(nn.Module):
    """Judges patches of about 70 pixels: (B, 3, H, W) to a map of scores, high for real ones."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        c = channels

        def step(c_in: int, c_out: int, stride: int) -> nn.Sequential:
            norm = nn.GroupNorm(min(8, c_out), c_out)
            return nn.Sequential(nn.Conv2d(c_in, c_out, 4, stride, 1), norm, nn.LeakyReLU(0.2))

        self.net = nn.Sequential(
            *[nn.Conv2d(3, c, 4, 2, 1), nn.LeakyReLU(0.2)],
            *[step(c, 2 * c, 2), step(2 * c, 4 * c, 2), step(4 * c, 8 * c, 1)],
            nn.Conv2d(8 * c, 1, 4, 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 1, H', W')."""
        out: Tensor = self.net(image)
        return out


class LeCam(nn.Module):
    """Running means of the critic's scores, and the pull towards them.

    Args:
        decay: of the running means.
    """

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the regulariser for mean scores `real` and `fake`, and move the running means."""
        loss = F.relu(real - self.fake).square() + F.relu(self.real - fake).square()
        self.real.lerp_(real.detach(), 1 - self.decay)
        self.fake.lerp_(fake.detach(), 1 - self.decay)
        return loss


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's own loss for its scores of real and decoded images."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
