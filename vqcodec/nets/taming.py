"""The VQGAN of taming-transformers (f16 and f8), with keys as in CompVis checkpoints.

`encoder.`, `decoder.`, `quant_conv.` and `post_quant_conv.` of such a checkpoint load as they
stand; its `quantize.embedding.weight` is the base codebook of a pack, and of a GumbelVQ
`quantize.proj.` and `quantize.embed.` are `gumbel.proj.` and `gumbel.embed.` here. The network
normalises groups over the whole feature map and attends over it: large images, which are seen in
tiles, come out slightly different from what one pass would give.

Source: Esser et al. 2021, arXiv 2012.09841; package taming-transformers 0.0.1 (extra `[taming]`).
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.errors import BackendError
from vqcodec.nets.autoencoder import Autoencoder
from vqcodec.nets.taming_layers import exchange, measured
from vqcodec.packs.networks import TamingPlan


class TamingVqgan(Autoencoder):
    """taming's encoder and decoder around two 1x1 convolutions, which may differ by tier.

    Args:
        ch: channels at full size; CompVis f16 uses 128.
        ch_mult: factor per level; n levels give stride 2 ** (n - 1).
        num_res_blocks: residual blocks per level.
        attn_resolutions: sides (at `resolution` pixels) of the levels with attention.
        resolution: side of the training crops in pixels; only decides where attention goes.
        z_channels: channels between encoder and `quant_conv`.
        embed_dim: D.
        n_tiers: sets of 1x1 convolutions, one per tier; 0 is one set for all tiers, as in
            checkpoints.
        gumbel_words: K of a GumbelVQ, whose `encode` gives one of its K words; 0 is a VQModel.

    Raises:
        BackendError: taming-transformers is not installed.
        PackError: `ch` is no multiple of the norms' 32 groups.
    """

    kind = "taming"
    on_sphere = False
    LIMITS = TamingPlan.LIMITS

    def __init__(
        self,
        ch: int = TamingPlan.ch,
        ch_mult: Sequence[int] = TamingPlan.ch_mult,
        num_res_blocks: int = TamingPlan.num_res_blocks,
        attn_resolutions: Sequence[int] = TamingPlan.attn_resolutions,
        resolution: int = TamingPlan.resolution,
        z_channels: int = TamingPlan.z_channels,
        embed_dim: int = TamingPlan.embed_dim,
        n_tiers: int = TamingPlan.n_tiers,
        gumbel_words: int = TamingPlan.gumbel_words,
    ) -> None:
        super().__init__()
        plan = TamingPlan(
            ch,
            tuple(ch_mult),
            num_res_blocks,
            tuple(attn_resolutions),
            resolution,
            z_channels,
            embed_dim,
            n_tiers,
            gumbel_words,
        )
        package = _package()
        self.stride, self.latent_dim, self.n_tiers = plan.stride, embed_dim, n_tiers
        self.encoder_halo = self.decoder_halo = plan.halo
        self.core, self.whole = max(1, plan.side - 2 * plan.halo), plan.side**2
        arguments: dict[str, Any] = {
            "ch": ch,
            "ch_mult": plan.ch_mult,
            "num_res_blocks": num_res_blocks,
            "attn_resolutions": plan.attn_resolutions,
            "resolution": resolution,
            "z_channels": z_channels,
            "in_channels": 3,
            "out_ch": 3,
        }
        with contextlib.redirect_stdout(io.StringIO()):  # the decoder prints its latent's shape
            self.encoder: nn.Module = package.Encoder(**arguments, double_z=False)
            self.decoder: nn.Module = package.Decoder(**arguments)
        for half in (self.encoder, self.decoder):
            exchange(half, package.AttnBlock)
        self.quant_conv = _pointwise(z_channels, embed_dim, n_tiers)
        self.gumbel = Gumbel(embed_dim, gumbel_words) if gumbel_words else None
        self.post_quant_conv = _pointwise(embed_dim, z_channels, n_tiers)

    def encode(self, image: Tensor, tier: int | Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D, h, w)."""
        latent = by_tier(self.quant_conv, self.encoder(image), tier)
        return latent if self.gumbel is None else self.gumbel(latent)

    def decode(self, latent: Tensor, tier: int | Tensor) -> Tensor:
        """(B, D, h, w) codewords to (B, 3, H, W)."""
        out: Tensor = self.decoder(by_tier(self.post_quant_conv, latent, tier))
        return out

    def measured(self, run: Callable[[], object]) -> AbstractContextManager[None]:
        """Within, tiles are normalised as `run` was."""
        return measured(run)


class TierConv(nn.Module):
    """A 1x1 convolution that every tier has for itself.

    Args:
        c_in: channels in.
        c_out: channels out.
        n_tiers: T.

    Attributes:
        weight: (T, O, I); row tier - 1 is that of a tier.
        bias: (T, O).
    """

    def __init__(self, c_in: int, c_out: int, n_tiers: int) -> None:
        super().__init__()
        bound = c_in**-0.5  # as nn.Conv2d begins; all tiers begin alike
        self.weight = nn.Parameter(_spread(bound, c_out, c_in).repeat(n_tiers, 1, 1))
        self.bias = nn.Parameter(_spread(bound, c_out).repeat(n_tiers, 1))

    def forward(self, x: Tensor, tier: int | Tensor) -> Tensor:
        """(B, I, H, W) to (B, O, H, W); `tier` is one from 1 on, or (B,) int64."""
        if isinstance(tier, int):
            return F.conv2d(x, self.weight[tier - 1, :, :, None, None], self.bias[tier - 1])
        out = torch.einsum("boi,bihw->bohw", self.weight[tier - 1], x)
        return out + self.bias[tier - 1, :, None, None]


class Gumbel(nn.Module):
    """The words of a GumbelVQ: logits choose one, so a latent is a word.

    taming's own forward pass adds Gumbel noise to the logits; who wants codes takes the largest.

    Args:
        dim: D.
        n_words: K.
    """

    def __init__(self, dim: int, n_words: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dim, n_words, 1)
        self.embed = nn.Embedding(n_words, dim)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, D, h, w) to the word of the largest logit, of equal ones the first: (B, D, h, w).

        Where gradients are on, they pass straight through to the softmax of the logits.
        """
        logits: Tensor = self.proj(latent)  # (B, K, h, w)
        words: Tensor = self.embed.weight[logits.argmax(1)].permute(0, 3, 1, 2)
        if not torch.is_grad_enabled():
            return words
        soft = torch.einsum("bkhw,kd->bdhw", logits.float().softmax(1), self.embed.weight)
        return words + (soft - soft.detach())


def _spread(bound: float, *shape: int) -> Tensor:
    return torch.empty(shape).uniform_(-bound, bound)


def _pointwise(c_in: int, c_out: int, n_tiers: int) -> nn.Module:
    return TierConv(c_in, c_out, n_tiers) if n_tiers else nn.Conv2d(c_in, c_out, 1)


def by_tier(conv: nn.Module, x: Tensor, tier: int | Tensor) -> Tensor:
    """Run a 1x1 convolution that may be one per tier."""
    out: Tensor = conv(x, tier) if isinstance(conv, TierConv) else conv(x)
    return out


def _package() -> Any:
    try:
        return importlib.import_module("taming.modules.diffusionmodules.model")
    except ImportError as error:
        raise BackendError(
            "this model pack needs taming-transformers, which is not installed. "
            "Run 'pip install --no-deps taming-transformers==0.0.1'."
        ) from error
