"""From a model pack to `OnnxNets`: what `nets.load` does, without torch.

What a pack says is checked before it is used: keys, shapes, finite values. Nothing in a pack is
code. Tiles are cut as there, so that the two agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqcodec import tiles
from vqcodec.backends import INSTALL, check_indices, check_latents, map_size
from vqcodec.errors import BackendError
from vqcodec.onnx.kinds import Network, network_of
from vqcodec.onnx.nearest import nearest
from vqcodec.onnx.session import Session, check_device
from vqcodec.onnx.stored import codewords, read_weights
from vqcodec.tiles import Progress

if TYPE_CHECKING:
    from vqcodec.packs.store import Pack

Windows = tuple[slice, slice]


class OnnxNets:
    """A pack's network and codebooks, ready to run; shapes and errors are those of `nets.Nets`.

    A network that cannot be shown a picture in parts refuses large ones with `BackendError`.

    Args:
        network: sizes, and how pictures are cut.
        codebooks: codewords (K_T, D) float32 by tier.
        make_encoder: gives the encoder's session when it is first needed.
        make_decoder: the same for the decoder.
    """

    def __init__(
        self,
        network: Network,
        codebooks: Mapping[int, NDArray[np.float32]],
        make_encoder: Callable[[], Session],
        make_decoder: Callable[[], Session],
    ) -> None:
        self.network, self.stride = network, network.stride
        self.whole, self.core = network.whole, network.core
        self.codebooks = codebooks
        self._make_encoder, self._make_decoder = make_encoder, make_decoder

    def to_indices(
        self, pixels: NDArray[np.uint8], tier: int, progress: Progress | None = None
    ) -> NDArray[np.int32]:
        """Encode an image (H, W, 3) uint8 to its index map (H / stride, W / stride) int32."""
        words = self.codewords(tier)
        h, w = map_size(pixels, self.stride)
        out = np.empty((h, w), np.int32)
        for tile in self._tiles(h, w, self.network.encoder_halo, progress):
            inner = self._encode_tile(pixels, tile, tier)  # (th, tw, D)
            out[tile.core] = nearest(inner.reshape(-1, inner.shape[2]), words).reshape(
                inner.shape[:2]
            )
        return out

    def to_latents(
        self, pixels: NDArray[np.uint8], tier: int, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Encode an image (H, W, 3) uint8 to latents (H / stride, W / stride, D) float32."""
        self.codewords(tier)
        h, w = map_size(pixels, self.stride)
        out = np.empty((h, w, self.network.latent_dim), np.float32)
        for tile in self._tiles(h, w, self.network.encoder_halo, progress):
            out[tile.core] = self._encode_tile(pixels, tile, tier)
        return out

    def codewords(self, tier: int) -> NDArray[np.float32]:
        """Return a tier's codebook, (K_T, D)."""
        if tier not in self.codebooks:
            raise ValueError(f"tier {tier} is not in {sorted(self.codebooks)}")
        return self.codebooks[tier]

    def to_pixels(
        self, indices: NDArray[np.integer], tier: int, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """Decode an index map (h, w) to an image (h * stride, w * stride, 3) uint8."""
        words = self.codewords(tier)
        check_indices(indices, len(words))
        size = (indices.shape[0], indices.shape[1])
        return self._painted(size, lambda frame: words[indices[frame]], tier, progress)

    def from_latents(
        self, latents: NDArray[np.float32], tier: int, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """Decode latents (h, w, D) float32 to an image, as `to_pixels` decodes codewords."""
        self.codewords(tier)
        check_latents(latents, self.network.latent_dim)
        size = (latents.shape[0], latents.shape[1])
        return self._painted(size, lambda frame: latents[frame], tier, progress)

    def _painted(
        self,
        size: tuple[int, int],
        latents: Callable[[Windows], NDArray[np.float32]],
        tier: int,
        progress: Progress | None,
    ) -> NDArray[np.uint8]:
        """Decode tile by tile what `latents` gives for each frame, (th, tw, D)."""
        h, w = size
        out = np.empty((h * self.stride, w * self.stride, 3), np.uint8)
        for tile in self._tiles(h, w, self.network.decoder_halo, progress):
            seen = np.ascontiguousarray(latents(tile.frame).transpose(2, 0, 1)[None])
            (image,) = self._decoder.run(latent=seen, tier=_as_input(tier))
            inner = tiles.scaled(tile.inner, self.stride)
            out[tiles.scaled(tile.core, self.stride)] = to_uint8(image[(0, slice(None), *inner)])
        return out

    def _encode_tile(
        self, pixels: NDArray[np.uint8], tile: tiles.Tile, tier: int
    ) -> NDArray[np.float32]:
        """The core's latents, (th, tw, D), finite."""
        seen = pixels[tiles.scaled(tile.frame, self.stride)].transpose(2, 0, 1)[None]
        image = seen.astype(np.float32, order="C")
        image /= 127.5
        image -= 1
        (latent,) = self._encoder.run(image=image, tier=_as_input(tier))
        inner = latent[(0, slice(None), *tile.inner)].transpose(1, 2, 0)
        return np.asarray(np.nan_to_num(inner), np.float32)

    def _tiles(self, h: int, w: int, halo: int, progress: Progress | None) -> Iterator[tiles.Tile]:
        if self.network.is_whole_only and h * w > self.whole:
            raise BackendError(
                f"{w * self.stride} x {h * self.stride} pixels are more than the "
                f"{self.whole * self.stride**2:,} that this model's network takes in onnxruntime: "
                f"it looks at a picture whole. Run {INSTALL['torch']}, and take --backend torch."
            )
        return tiles.each(tiles.cut(h, w, halo, core=self.core, whole=self.whole), progress)

    @cached_property
    def _encoder(self) -> Session:
        return self._make_encoder()

    @cached_property
    def _decoder(self) -> Session:
        return self._make_decoder()


def to_uint8(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(3, H, W) floats in [-1, 1] to (H, W, 3) uint8: clamped, rounded half to even."""
    levels = np.clip(image, -1, 1)
    levels += 1
    levels *= 127.5
    return np.rint(levels, out=levels).astype(np.uint8).transpose(1, 2, 0)


def load(pack: Pack, *, device: str = "auto", threads: int | None = None) -> OnnxNets:
    """Load a pack's network and codebooks.

    Args:
        pack: from `vqcodec.packs.store`.
        device: "auto" or "cpu".
        threads: CPU threads; None takes all that this process may use.

    Raises:
        PackError: weights are missing or do not fit the manifest; those of the encoder and of the
            decoder are looked at when they are first needed.
        BackendError: another device, or out of memory.
    """
    check_device(device)
    network = network_of(pack)
    stored = read_weights(pack.weights_path)
    network.check_keys(stored)
    codebooks = {
        entry.tier: codewords(stored, entry.tier, entry.codebook_size, network.latent_dim)
        for entry in pack.manifest.tiers
    }
    return OnnxNets(
        network,
        codebooks,
        lambda: Session(network.encoder(tensors=stored, with_winograd=False), threads),
        lambda: Session(network.decoder(tensors=stored, with_winograd=False), threads),
    )


def _as_input(tier: int) -> NDArray[np.int32]:
    return np.array([tier], np.int32)
