"""The VQGAN of taming-transformers (f16), with keys as in CompVis checkpoints.

`encoder.`, `decoder.`, `quant_conv.` and `post_quant_conv.` of such a checkpoint load as they
stand; its `quantize.embedding.weight` is the base codebook of a pack. The network normalises groups
over the whole feature map and attends over it: tiles see other statistics than the whole image, so
large images come out slightly different from what one pass would give.

Source: Esser et al. 2021, arXiv 2012.09841; package taming-transformers 0.0.1 (extra `[taming]`).
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from vqcodec.errors import BackendError, PackError
from vqcodec.nets.autoencoder import Autoencoder, Limit

HALO = 8  # positions; seams fade, but no halo makes tiles equal the whole image here


class TamingVqgan(Autoencoder):
    """taming's encoder and decoder around two 1x1 convolutions; it ignores the tier.

    Args:
        ch: channels at full size; CompVis f16 uses 128.
        ch_mult: factor per level; n levels give stride 2 ** (n - 1).
        num_res_blocks: residual blocks per level.
        attn_resolutions: sides (at `resolution` pixels) of the levels with attention.
        resolution: side of the training crops in pixels; only decides where attention goes.
        z_channels: channels between encoder and `quant_conv`.
        embed_dim: D.

    Raises:
        BackendError: taming-transformers is not installed.
    """

    kind = "taming"
    on_sphere = False
    LIMITS: ClassVar[dict[str, Limit]] = {
        "ch": Limit(32, 512),  # groups of 32 channels
        "ch_mult": Limit(1, 16, range(1, 9)),
        "num_res_blocks": Limit(1, 8),
        "attn_resolutions": Limit(1, 1024, range(0, 9)),
        "resolution": Limit(16, 4096),
        "z_channels": Limit(1, 1024),
        "embed_dim": Limit(1, 1024),
    }

    def __init__(
        self,
        ch: int = 128,
        ch_mult: Sequence[int] = (1, 1, 2, 2, 4),
        num_res_blocks: int = 2,
        attn_resolutions: Sequence[int] = (16,),
        resolution: int = 256,
        z_channels: int = 256,
        embed_dim: int = 256,
    ) -> None:
        super().__init__()
        if ch % 32:
            raise PackError(
                f"manifest: net.config.ch is {ch}; taming's groups need a multiple of 32."
            )
        package = _package()
        self.stride, self.latent_dim, self.n_tiers = 2 ** (len(ch_mult) - 1), embed_dim, 0
        self.encoder_halo = self.decoder_halo = HALO
        arguments: dict[str, Any] = {
            "ch": ch,
            "ch_mult": tuple(ch_mult),
            "num_res_blocks": num_res_blocks,
            "attn_resolutions": tuple(attn_resolutions),
            "resolution": resolution,
            "z_channels": z_channels,
            "in_channels": 3,
            "out_ch": 3,
        }
        with contextlib.redirect_stdout(io.StringIO()):  # the decoder prints its latent's shape
            self.encoder: nn.Module = package.Encoder(**arguments, double_z=False)
            self.decoder: nn.Module = package.Decoder(**arguments)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)

    def encode(self, image: Tensor, tier: int | Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D, h, w)."""
        out: Tensor = self.quant_conv(self.encoder(image))
        return out

    def decode(self, latent: Tensor, tier: int | Tensor) -> Tensor:
        """(B, D, h, w) codewords to (B, 3, H, W)."""
        out: Tensor = self.decoder(self.post_quant_conv(latent))
        return out


def _package() -> Any:
    try:
        return importlib.import_module("taming.modules.diffusionmodules.model")
    except ImportError as error:
        raise BackendError(
            "this model pack needs taming-transformers, which is not installed. "
            "Run 'pip install --no-deps taming-transformers==0.0.1'."
        ) from error
