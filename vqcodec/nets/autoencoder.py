"""The one interface of all networks, and how a manifest's `[net]` table becomes one.

A network turns an image into a latent grid and back (docs/ARCHITECTURE.md, "Networks"). It knows
nothing of codebooks: these lie in the pack, and the search for the nearest codeword is
`quantizer.nearest`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from torch import Tensor, nn

from vqcodec import tiles
from vqcodec.errors import PackError
from vqcodec.packs.networks import Limit, checked


class Autoencoder(nn.Module):
    """An encoder and a decoder that meet at a latent grid.

    Attributes:
        kind: its name in a manifest.
        LIMITS: what its config may hold.
        on_sphere: latents and codewords have norm sqrt(D).
        config: what it was built with; missing keys are defaults.
        stride: pixels per latent position, each way.
        latent_dim: D, the size of a latent vector and of a codeword.
        n_tiers: tiers that the network tells apart; 0 when it ignores `tier`.
        encoder_halo: latent positions around a tile that `encode` has to see (see `tiles`).
        decoder_halo: the same for `decode`.
        whole: latent grids of at most this many positions are not cut into tiles.
        core: largest side of a tile's core, in latent positions.
    """

    kind: ClassVar[str]
    LIMITS: ClassVar[dict[str, Limit]]
    on_sphere: ClassVar[bool]
    config: Mapping[str, Any]
    stride: int
    latent_dim: int
    n_tiers: int
    encoder_halo: int
    decoder_halo: int
    whole: int = tiles.WHOLE
    core: int = tiles.CORE

    def encode(self, image: Tensor, tier: int | Tensor) -> Tensor:
        """Turn images into latents, ready to be compared with codewords by squared distance.

        Args:
            image: (B, 3, H, W) float32 in [-1, 1]; H and W are multiples of `stride`.
            tier: from 1 on, or (B,) int64, one tier per image (training mixes them).

        Returns:
            (B, D, H / stride, W / stride) float32.
        """
        raise NotImplementedError

    def decode(self, latent: Tensor, tier: int | Tensor) -> Tensor:
        """Turn codewords, as they stand in the pack, into images.

        Args:
            latent: (B, D, h, w) float32.
            tier: as in `encode`.

        Returns:
            (B, 3, h * stride, w * stride) float32, about [-1, 1], not clamped.
        """
        raise NotImplementedError

    def measured(self, run: Callable[[], object]) -> AbstractContextManager[None]:
        """Prepare for tiles, where the network looks at statistics of what it sees.

        Args:
            run: encodes or decodes a sample of the whole picture, as the tiles will be.

        Returns:
            The context in which tiles are seen as parts of that picture.
        """
        return nullcontext()


def build(kind: str, config: Mapping[str, Any]) -> Autoencoder:
    """Make the network that a manifest asks for, with untrained weights.

    Args:
        kind: `net.kind` of the manifest: "light" or "taming".
        config: `net.config` of the manifest, the constructor's arguments; missing keys take
            defaults.

    Raises:
        PackError: unknown kind or key, a value of the wrong type, or an absurd size.
        BackendError: the package that this kind needs is not installed.
    """
    # Imported here: these modules take `Autoencoder` from this one.
    from vqcodec.nets.light import LightVqgan
    from vqcodec.nets.taming import TamingVqgan

    kinds: tuple[type[Autoencoder], ...] = (LightVqgan, TamingVqgan)
    by_name = {net.kind: net for net in kinds}
    if kind not in by_name:
        known = " and ".join(repr(name) for name in by_name)
        raise PackError(f"manifest: net.kind is {kind!r}; this version knows {known}.", found=kind)
    net = by_name[kind](**checked(config, by_name[kind].LIMITS))
    net.config = dict(config)
    return net


def count_parameters(net: nn.Module) -> int:
    """Number of weights, those of buffers included."""
    return sum(tensor.numel() for tensor in net.state_dict().values())
