"""The model in training: a network, one SimVQ codebook per tier, the straight-through quantiser.

While the base codebook is trained there is one codebook, that of the base tier; afterwards one
per tier, and the base is carried along as a plain table.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vqcodec.bitstream.layout import TIERS
from vqcodec.nets.autoencoder import Autoencoder
from vqcodec.nets.load import Nets
from vqcodec.nets.quantizer import SimVQ, nearest

ENCODER_SHARE = 0.25  # of the commitment loss pulls latents to codewords; the rest pulls codewords
POINTWISE = ("net.quant_conv.", "net.post_quant_conv.")  # taming's 1x1 convolutions
TUNED = {
    "everything": ("",),
    "decoder": ("net.decoder.", *POINTWISE, "books."),
    "quantiser": (*POINTWISE, "books."),
    "codebooks": ("books.",),
}
UNTOLD_TIERS = 9  # of a network that ignores the tier and has no codebooks (taming's)


def tiers_of(net: Autoencoder, having: Collection[int] = ()) -> list[int]:
    """List the tiers that a network is trained for, ascending.

    Args:
        net: a network; one that tells tiers apart is trained for all of these.
        having: the tiers that have a codebook, which count where the network ignores the tier.
    """
    if not net.n_tiers and having:
        return sorted(having)
    return list(TIERS)[: net.n_tiers or UNTOLD_TIERS]


class Tokenizer(nn.Module):
    """A network and its codebooks.

    Args:
        net: the network.
        base: (K_base, D) base codebook, or None before it is fitted.
        codebooks: (K_T, D) codewords by tier; empty trains without quantisation.

    Attributes:
        trains_base: the one codebook is the base codebook, seen under the base tier's condition.
    """

    def __init__(
        self,
        net: Autoencoder,
        base: Tensor | None = None,
        codebooks: dict[int, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.trains_base = False
        self.register_buffer("base", None if base is None else base.float().clone())
        self.books = nn.ModuleDict()
        for tier, words in (codebooks or {}).items():
            self.set_codebook(tier, words)

    @property
    def tiers(self) -> list[int]:
        """Tiers that have a codebook, ascending."""
        return sorted(int(tier) for tier in self.books)

    def tuned(self, what: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Freeze all but what is tuned (a key of `TUNED`).

        Returns:
            All parameters: those that tiers share, and those that each tier has for itself.
        """
        shared, own = [], []
        of_tiers = ("books.", *POINTWISE) if self.net.n_tiers else ("books.",)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(TUNED[what]))
            is_own = ".film." in name or name.startswith(of_tiers)
            (own if is_own else shared).append(parameter)
        return shared, own

    def set_codebook(self, tier: int, words: Tensor) -> None:
        """Give a tier a fresh SimVQ that starts at `words` (K_T, D)."""
        self.books[str(tier)] = SimVQ(words, on_sphere=self.net.on_sphere)

    def quantise(self, latent: Tensor, tier: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Replace latents by their nearest codewords; gradients pass straight through.

        Args:
            latent: (B, D, h, w).
            tier: (B,) int64; every tier in it has a codebook.

        Returns:
            Codewords (B, D, h, w), the commitment loss, and indices (B, h, w) int64.
        """
        words_at = torch.empty_like(latent)
        indices = torch.empty(
            (latent.shape[0], *latent.shape[2:]), dtype=torch.int64, device=latent.device
        )
        for t in tier.unique().tolist():
            of_tier = tier == t
            words = self.books[str(t)].codewords()
            vectors = latent[of_tier].permute(0, 2, 3, 1)  # (n, h, w, D)
            found = nearest(vectors.reshape(-1, latent.shape[1]), words).view(vectors.shape[:3])
            indices[of_tier] = found
            words_at[of_tier] = words[found].permute(0, 3, 1, 2)
        codebook_loss = (words_at - latent.detach()).square().mean()
        encoder_loss = (latent - words_at.detach()).square().mean()
        loss = codebook_loss + ENCODER_SHARE * encoder_loss
        return latent + (words_at - latent).detach(), loss, indices

    def forward(self, image: Tensor, tier: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the decoded image, the commitment loss, and indices (None without codebooks)."""
        latent = self.net.encode(image, tier).float()
        if not self.books:
            return self.net.decode(latent, tier).float(), latent.new_zeros(()), None
        with torch.autocast(image.device.type, enabled=False):  # indices are decided in full
            codes, loss, indices = self.quantise(latent, tier)
        return self.net.decode(codes, tier).float(), loss, indices

    def codebooks(self) -> dict[int, Tensor]:
        """Return the codewords (K_T, D) of every tier, folded."""
        return {tier: self.books[str(tier)].fold() for tier in self.tiers}

    def tables(self) -> dict[str, Tensor]:
        """Return the codebooks by their keys in a pack."""
        books = self.codebooks()
        if self.trains_base:
            return {"base.codewords": next(iter(books.values()))} if books else {}
        out = {f"tier.{tier}.codewords": words for tier, words in books.items()}
        return out if self.base is None else {"base.codewords": self.base, **out}

    def to_nets(self) -> Nets:
        """Return the same thing that a pack gives: numpy in and out; the network is shared."""
        return Nets(self.net, self.codebooks(), next(self.net.parameters()).device)

    @torch.no_grad()
    def latents(self, image: Tensor, tier: int) -> NDArray[np.float32]:
        """Latent vectors of images (B, 3, H, W) under a tier's condition, (B * h * w, D)."""
        latent = self.net.encode(image, tier).permute(0, 2, 3, 1).flatten(0, 2)
        out: NDArray[np.float32] = latent.float().cpu().numpy()
        return out
