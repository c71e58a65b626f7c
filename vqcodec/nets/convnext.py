"""The light VQGAN with ConvNeXt blocks at stride 16 instead of bottlenecks.

It was made for the comparison of backbones in docs/experiments.md: a wide view (7x7) per block and
normalisation over channels, at each position alone, so that tiles and the whole image still agree.

Source: Liu et al. 2022, "A ConvNet for the 2020s", arXiv 2201.03545.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.nets.blocks import Block
from vqcodec.nets.light import LightVqgan

EXPANSION = 2  # ConvNeXt has 4; 2 gives a block of 448 channels about a bottleneck's weights


class ConvNext(Block):
    """Depthwise 7x7, LayerNorm over channels, 1x1 up and down; reach 3 positions.

    Args:
        channels: C.
    """

    REACH = 3

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, EXPANSION * channels)
        self.down = nn.Linear(EXPANSION * channels, channels)
        nn.init.zeros_(self.down.weight)  # starts as the identity, as all our blocks do
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        y = self.depthwise(x).permute(0, 2, 3, 1)  # (B, H, W, C)
        y = self.down(F.silu(self.up(self.norm(y))))
        out: Tensor = x + y.permute(0, 3, 1, 2)
        return out


class ConvnextVqgan(LightVqgan):
    """`LightVqgan` with `ConvNext` at stride 16; arguments and latents are the same."""

    kind = "convnext"
    CORE = ConvNext
