"""Critics: what tells decoded pictures from real ones, with hinge losses and two regularisers.

`PatchCritic` looks at the picture, `FeatureCritic` at maps of a frozen net that the perceptual loss
has computed anyway. Both take a list of maps, so that the loop need not know which one it has.

Sources: Isola et al. 2017 (PatchGAN, arXiv 1611.07004); Sauer et al. 2021 (critics on frozen
features, arXiv 2111.01007); Tseng et al. 2021 (LeCam, arXiv 2104.03310); Mescheder et al. 2018 (R1,
arXiv 1801.04406).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PatchCritic(nn.Module):
    """Judges patches of about 70 pixels of a picture; scores are high for real ones."""

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

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[(B, 3, H, W)] to (B, N): one score per patch."""
        out: Tensor = self.net(maps[0]).flatten(1)
        return out


class FeatureCritic(nn.Module):
    """Judges every position of every depth of a frozen net's features.

    The shallowest map is left to the other losses: it costs as much as all deeper ones together.

    Args:
        widths: channels of the maps, at least two.
        channels: of the hidden layers.
    """

    def __init__(self, widths: Sequence[int], channels: int = 64) -> None:
        super().__init__()

        def head(c_in: int) -> nn.Sequential:
            hidden = [nn.Conv2d(c_in, channels, 1), nn.LeakyReLU(0.2)]
            hidden += [nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.2)]
            return nn.Sequential(*hidden, nn.Conv2d(channels, 1, 1))

        self.heads = nn.ModuleList([head(width) for width in widths[1:]])

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[(B, C, H, W), ...] of unit length along C to (B, N): a score per depth and position.

        Every depth counts the same, whatever its resolution: its scores are repeated to the
        largest number.
        """
        scores = [head(x * x.shape[1] ** 0.5) for head, x in zip(self.heads, maps[1:], strict=True)]
        most = scores[0].shape[-2:]
        same = [F.interpolate(score, most, mode="nearest").flatten(1) for score in scores]
        return torch.cat(same, 1)


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


def r1(critic: nn.Module, real: Sequence[Tensor]) -> Tensor:
    """The R1 penalty: half the squared length of the critic's gradient at real maps."""
    maps = [x.detach().requires_grad_(True) for x in real]
    scores: Tensor = critic(maps)
    score = scores.mean(1).sum()
    gradients = torch.autograd.grad(score, maps, create_graph=True, allow_unused=True)
    used = [g.square().flatten(1).sum(1).mean() for g in gradients if g is not None]
    return 0.5 * torch.stack(used).sum()
