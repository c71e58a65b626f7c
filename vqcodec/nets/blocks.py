"""Building blocks of the light VQGAN: residual blocks without normalisation, and tiers by FiLM.

Nothing here looks at statistics of a whole feature map, so that a tile and the whole image agree.
Every block starts as the identity (its last kernel is zero): such nets train stably without
normalisation. Attribute names (`a`, `b`, `c`, `film`, `blocks`) are keys of released weights and
never change.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width at stride 1 (zero padding)."""
    return nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2)


class Plain(nn.Module):
    """Residual block of two 3x3 convolutions, (B, C, H, W) to the same; reach 2 positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = conv(channels, channels), conv(channels, channels)
        _zero(self.b)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        out: Tensor = x + self.b(F.silu(self.a(F.silu(x))))
        return out


class Neck(nn.Module):
    """Residual bottleneck: 1x1 to C / 2, 3x3, 1x1 back; few weights at many channels; reach 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        mid = max(1, channels // 2)
        self.a, self.b = conv(channels, mid, 1), conv(mid, mid)
        self.c = conv(mid, channels, 1)
        _zero(self.c)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        out: Tensor = x + self.c(F.silu(self.b(F.silu(self.a(F.silu(x))))))
        return out


class Film(nn.Module):
    """A scale and a shift per channel, looked up by tier (FiLM; Perez et al. 2018).

    Args:
        n_tiers: rows; tier T reads row T - 1.
        channels: C.
    """

    def __init__(self, n_tiers: int, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(n_tiers, channels))
        self.shift = nn.Parameter(torch.zeros(n_tiers, channels))

    def forward(self, x: Tensor, tier: int | Tensor) -> Tensor:
        """Scale and shift x (B, C, H, W); tier an int for all of the batch, or (B,) int64."""
        if isinstance(tier, int):
            scale, shift = self.scale[None, tier - 1], self.shift[None, tier - 1]
        else:
            scale, shift = self.scale[tier - 1], self.shift[tier - 1]
        return torch.addcmul(shift[:, :, None, None], x, 1 + scale[:, :, None, None])


class Stage(nn.Module):
    """FiLM and a row of equal blocks at one resolution.

    Args:
        block: `Plain` or `Neck`.
        n_blocks: how many.
        channels: C.
        n_tiers: rows of the FiLM tables.
    """

    def __init__(
        self, block: Callable[[int], nn.Module], n_blocks: int, channels: int, n_tiers: int
    ) -> None:
        super().__init__()
        self.film = Film(n_tiers, channels)
        self.blocks = nn.Sequential(*[block(channels) for _ in range(n_blocks)])

    def forward(self, x: Tensor, tier: int | Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        out: Tensor = self.blocks(self.film(x, tier))
        return out


def _zero(layer: nn.Conv2d) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
