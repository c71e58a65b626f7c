"""The light VQGAN: stride 16, heavy layers at strides 8 and 16, one net for all tiers.

Image (B, 3, H, W) to latent (B, D, H / 16, W / 16) and back. Latents and codewords have norm
sqrt(D): with a free scale the commitment loss runs away within 150 steps, on the sphere it cannot
(docs/TRAINING.md). The nets are told the tier by FiLM rows; nothing is normalised over space.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.nets.autoencoder import Autoencoder
from vqcodec.nets.blocks import Neck, Plain, Stage, conv
from vqcodec.packs.networks import LightPlan


class Encoder(nn.Module):
    """Image to latent, not yet scaled.

    Args:
        channels: C at strides 4, 8, 16.
        n_blocks: blocks at strides 4, 8, 16.
        latent_dim: D.
        n_tiers: rows of the FiLM tables.
    """

    def __init__(
        self, channels: Sequence[int], n_blocks: Sequence[int], latent_dim: int, n_tiers: int
    ) -> None:
        super().__init__()
        c4, c8, c16 = channels
        self.stem = conv(48, c4)
        self.s4 = Stage(Plain, n_blocks[0], c4, n_tiers)
        self.down8 = conv(c4, c8, 3, 2)
        self.s8 = Stage(Plain, n_blocks[1], c8, n_tiers)
        self.down16 = conv(c8, c16, 3, 2)
        self.s16 = Stage(Neck, n_blocks[2], c16, n_tiers)
        self.out = conv(c16, latent_dim, 1)

    def forward(self, image: Tensor, tier: int | Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D, H / 16, W / 16)."""
        x = self.s4(self.stem(F.pixel_unshuffle(image, 4)), tier)  # (B, c4, H/4, W/4)
        x = self.s8(self.down8(x), tier)  # (B, c8, H/8, W/8)
        x = self.s16(self.down16(x), tier)  # (B, c16, h, w)
        out: Tensor = self.out(F.silu(x))
        return out


class Decoder(nn.Module):
    """Latent to image; every step up is a 1x1 convolution and a pixel shuffle.

    Args:
        channels: C at strides 2, 4, 8, 16.
        n_blocks: blocks at strides 2, 4, 8, 16.
        latent_dim: D.
        n_tiers: rows of the FiLM tables.
    """

    def __init__(
        self, channels: Sequence[int], n_blocks: Sequence[int], latent_dim: int, n_tiers: int
    ) -> None:
        super().__init__()
        c2, c4, c8, c16 = channels
        self.stem = conv(latent_dim, c16)
        self.s16 = Stage(Neck, n_blocks[3], c16, n_tiers)
        self.up8 = conv(c16, 4 * c8, 1)
        self.s8 = Stage(Plain, n_blocks[2], c8, n_tiers)
        self.up4 = conv(c8, 4 * c4, 1)
        self.s4 = Stage(Plain, n_blocks[1], c4, n_tiers)
        self.up2 = conv(c4, 4 * c2, 1)
        self.s2 = Stage(Plain, n_blocks[0], c2, n_tiers)
        self.out = conv(c2, 12)

    def forward(self, latent: Tensor, tier: int | Tensor) -> Tensor:
        """(B, D, h, w) to (B, 3, 16 h, 16 w)."""
        x = self.s16(self.stem(latent), tier)  # (B, c16, h, w)
        x = self.s8(F.pixel_shuffle(self.up8(x), 2), tier)  # (B, c8, 2h, 2w)
        x = self.s4(F.pixel_shuffle(self.up4(x), 2), tier)  # (B, c4, 4h, 4w)
        x = self.s2(F.pixel_shuffle(self.up2(x), 2), tier)  # (B, c2, 8h, 8w)
        return F.pixel_shuffle(self.out(F.silu(x)), 2)


class LightVqgan(Autoencoder):
    """The embedded model's network; 11.7 million weights by default.

    Args:
        latent_dim: D.
        encoder_channels: C at strides 4, 8, 16.
        encoder_blocks: blocks at strides 4, 8, 16.
        decoder_channels: C at strides 2, 4, 8, 16.
        decoder_blocks: blocks at strides 2, 4, 8, 16.
        n_tiers: rows of the FiLM tables.
    """

    kind = "light"
    on_sphere = True
    LIMITS = LightPlan.LIMITS

    def __init__(
        self,
        latent_dim: int = LightPlan.latent_dim,
        encoder_channels: Sequence[int] = LightPlan.encoder_channels,
        encoder_blocks: Sequence[int] = LightPlan.encoder_blocks,
        decoder_channels: Sequence[int] = LightPlan.decoder_channels,
        decoder_blocks: Sequence[int] = LightPlan.decoder_blocks,
        n_tiers: int = LightPlan.n_tiers,
    ) -> None:
        super().__init__()
        plan = LightPlan(
            latent_dim,
            tuple(encoder_channels),
            tuple(encoder_blocks),
            tuple(decoder_channels),
            tuple(decoder_blocks),
            n_tiers,
        )
        self.stride, self.latent_dim, self.n_tiers = plan.STRIDE, latent_dim, n_tiers
        self.encoder = Encoder(encoder_channels, encoder_blocks, latent_dim, n_tiers)
        self.decoder = Decoder(decoder_channels, decoder_blocks, latent_dim, n_tiers)
        self.encoder_halo, self.decoder_halo = plan.encoder_halo, plan.decoder_halo

    def encode(self, image: Tensor, tier: int | Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D, h, w); every latent vector has norm sqrt(D)."""
        # Training may use bfloat16, in which lengths would be off by 0.4 %.
        latent = F.normalize(self.encoder(image, tier).float(), dim=1)
        return latent * math.sqrt(self.latent_dim)

    def decode(self, latent: Tensor, tier: int | Tensor) -> Tensor:
        """(B, D, h, w) codewords to (B, 3, 16 h, 16 w)."""
        out: Tensor = self.decoder(latent, tier)
        return out
