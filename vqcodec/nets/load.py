"""From a model pack to `Nets`: numpy arrays in and out, tensors inside.

What a pack says is checked before it is used: keys, shapes, finite values. Nothing in a pack is
code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec import tiles
from vqcodec.backends import check_indices, check_latents, map_size
from vqcodec.errors import PackError
from vqcodec.nets.autoencoder import Autoencoder, build, count_parameters
from vqcodec.nets.kernels import from_stored
from vqcodec.nets.machine import guarded, resolve_device
from vqcodec.nets.quantizer import nearest
from vqcodec.nets.stored import codewords, fill, read_weights
from vqcodec.packs.networks import MAX_PARAMETERS
from vqcodec.tiles import Progress

if TYPE_CHECKING:
    from vqcodec.packs.store import Pack


class Nets:
    """A pack's network and codebooks, ready to run.

    Args:
        net: the network, weights loaded.
        codebooks: codewords (K_T, D) float32 by tier.
        device: where to run.
    """

    def __init__(
        self, net: Autoencoder, codebooks: dict[int, Tensor], device: torch.device
    ) -> None:
        self.device = device
        self.stride = net.stride
        with guarded(device):
            # channels_last lets oneDNN skip reordering: about a third faster on a CPU.
            self.net = net.eval().requires_grad_(False).to(device)
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.codebooks = {tier: words.to(device) for tier, words in codebooks.items()}

    def to_indices(
        self, pixels: NDArray[np.uint8], tier: int, progress: Progress | None = None
    ) -> NDArray[np.int32]:
        """Encode an image to its index map.

        Args:
            pixels: (H, W, 3) uint8 sRGB; H and W are multiples of the stride.
            tier: one that the pack has.
            progress: called with (done, total) after each tile.

        Returns:
            (H / stride, W / stride) int32 in [0, K_T).

        Raises:
            ValueError: shape, dtype or tier is wrong (caller's mistake).
            BackendError: out of memory.
        """
        words = self._codebook(tier)
        h, w = map_size(pixels, self.stride)
        out = np.empty((h, w), np.int32)
        with guarded(self.device), torch.inference_mode():
            cut = self._tiles(h, w, self.net.encoder_halo)
            with self._measured(cut, lambda: self._encode_sample(pixels, (h, w), tier)):
                for tile in tiles.each(cut, progress):
                    inner = self._encode_tile(pixels, tile, tier)  # (D, th, tw)
                    found = nearest(inner.flatten(1).t(), words)
                    out[tile.core] = found.reshape(inner.shape[1:]).cpu().numpy()
        return out

    def to_latents(
        self, pixels: NDArray[np.uint8], tier: int, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Encode an image to latents, for an encoder that does not always take the nearest word.

        Args:
            pixels: as in `to_indices`.
            tier: one that the pack has.
            progress: called with (done, total) after each tile.

        Returns:
            (H / stride, W / stride, D) float32, to be compared with `codewords(tier)`.

        Raises:
            ValueError: shape, dtype or tier is wrong (caller's mistake).
            BackendError: out of memory.
        """
        self._codebook(tier)
        h, w = map_size(pixels, self.stride)
        out = np.empty((h, w, self.net.latent_dim), np.float32)
        with guarded(self.device), torch.inference_mode():
            cut = self._tiles(h, w, self.net.encoder_halo)
            with self._measured(cut, lambda: self._encode_sample(pixels, (h, w), tier)):
                for tile in tiles.each(cut, progress):
                    out[tile.core] = self._encode_tile(pixels, tile, tier).permute(1, 2, 0).cpu()
        return out

    def codewords(self, tier: int) -> NDArray[np.float32]:
        """Return a tier's codebook, (K_T, D)."""
        out: NDArray[np.float32] = self._codebook(tier).cpu().numpy()
        return out

    def to_pixels(
        self, indices: NDArray[np.integer], tier: int, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """Decode an index map to an image.

        Args:
            indices: (h, w) integers in [0, K_T).
            tier: one that the pack has.
            progress: called with (done, total) after each tile.

        Returns:
            (h * stride, w * stride, 3) uint8, rounded half to even.

        Raises:
            ValueError: shape, dtype, tier or a value is wrong (caller's mistake).
            BackendError: out of memory.
        """
        words = self._codebook(tier)
        check_indices(indices, len(words))

        def latents(frame: tuple[slice, slice]) -> Tensor:
            return words[torch.from_numpy(indices[frame].astype(np.int64)).to(self.device)]

        return self._painted((indices.shape[0], indices.shape[1]), latents, tier, progress)

    def from_latents(
        self, latents: NDArray[np.float32], tier: int, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """Decode latents to an image, as `to_pixels` decodes codewords.

        Args:
            latents: (h, w, D) float32: codewords, and what a restorer put between them.
            tier: one that the pack has.
            progress: called with (done, total) after each tile.

        Returns:
            (h * stride, w * stride, 3) uint8, rounded half to even.

        Raises:
            ValueError: shape, dtype or tier is wrong (caller's mistake).
            BackendError: out of memory.
        """
        self._codebook(tier)
        check_latents(latents, self.net.latent_dim)

        def of(frame: tuple[slice, slice]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(latents[frame])).to(self.device)

        return self._painted((latents.shape[0], latents.shape[1]), of, tier, progress)

    def _painted(
        self,
        size: tuple[int, int],
        latents: Callable[[tuple[slice, slice]], Tensor],
        tier: int,
        progress: Progress | None,
    ) -> NDArray[np.uint8]:
        """Decode tile by tile what `latents` gives for each frame, (th, tw, D)."""
        h, w = size
        out = np.empty((h * self.stride, w * self.stride, 3), np.uint8)
        with guarded(self.device), torch.inference_mode():
            cut = self._tiles(h, w, self.net.decoder_halo)
            with self._measured(cut, lambda: self._decode_sample(latents, size, tier)):
                for tile in tiles.each(cut, progress):
                    core = tiles.scaled(tile.core, self.stride)
                    out[core] = self._decode_tile(latents(tile.frame), tile, tier)
        return out

    def _tiles(self, h: int, w: int, halo: int) -> list[tiles.Tile]:
        return tiles.cut(h, w, halo, core=self.net.core, whole=self.net.whole)

    def _measured(
        self, cut: list[tiles.Tile], run: Callable[[], object]
    ) -> AbstractContextManager[None]:
        return self.net.measured(run) if len(cut) > 1 else nullcontext()

    # Methods of their own, so that no tensor of a tile is still held while the next one runs.

    def _encode_tile(self, pixels: NDArray[np.uint8], tile: tiles.Tile, tier: int) -> Tensor:
        """The core's latents, (D, th, tw), finite."""
        seen = pixels[tiles.scaled(tile.frame, self.stride)]
        latent = self.net.encode(self._to_image(seen), tier)
        return latent[(0, slice(None), *tile.inner)].nan_to_num()

    def _encode_sample(self, pixels: NDArray[np.uint8], size: tuple[int, int], tier: int) -> None:
        """Encode parts of all of the picture, side by side."""
        rows = [
            np.concatenate([pixels[tiles.scaled(window, self.stride)] for window in row], 1)
            for row in tiles.sample(*size, math.isqrt(self.net.whole))
        ]
        self.net.encode(self._to_image(np.concatenate(rows)), tier)

    def _decode_sample(
        self,
        latents: Callable[[tuple[slice, slice]], Tensor],
        size: tuple[int, int],
        tier: int,
    ) -> None:
        """Decode parts of all of the map, side by side."""
        rows = [
            torch.cat([latents(window) for window in row], 1)
            for row in tiles.sample(*size, math.isqrt(self.net.whole))
        ]
        self.net.decode(torch.cat(rows).permute(2, 0, 1)[None], tier)

    def _decode_tile(self, latents: Tensor, tile: tiles.Tile, tier: int) -> NDArray[np.uint8]:
        """The frame's latents to the core's pixels."""
        image = self.net.decode(latents.permute(2, 0, 1)[None], tier)
        return to_uint8(image[(0, slice(None), *tiles.scaled(tile.inner, self.stride))])

    def _codebook(self, tier: int) -> Tensor:
        if tier not in self.codebooks:
            raise ValueError(f"tier {tier} is not in {sorted(self.codebooks)}")
        return self.codebooks[tier]

    def _to_image(self, pixels: NDArray[np.uint8]) -> Tensor:
        """(H, W, 3) uint8 to (1, 3, H, W) float32 in [-1, 1]; the layout stays channels_last."""
        image = torch.from_numpy(pixels.astype(np.float32)).to(self.device)
        return image.div_(127.5).sub_(1).permute(2, 0, 1)[None]


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """(3, H, W) floats in [-1, 1] to (H, W, 3) uint8: clamped, rounded half to even."""
    levels = image.float().clamp(-1, 1).add_(1).mul_(127.5).round_()
    out: NDArray[np.uint8] = levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return out


def load(pack: Pack, *, device: str = "auto", threads: int | None = None) -> Nets:
    """Load a pack's network and codebooks.

    Args:
        pack: from `vqcodec.packs.store`.
        device: "auto" (CUDA if there is one, else CPU), "cpu", "cuda" or "cuda:N".
        threads: CPU threads of PyTorch for the whole process; None leaves them as they are.

    Raises:
        PackError: weights are missing or do not fit the manifest.
        BackendError: no such device, or out of memory.
    """
    target = resolve_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    stored = read_weights(pack.weights_path)
    manifest = pack.manifest
    with torch.device("meta"):  # shapes only: no memory and no time for random weights
        net = build(manifest.net_kind, manifest.net_config)
    if count_parameters(net) > MAX_PARAMETERS:
        raise PackError(f"{pack.path}: the network has more than {MAX_PARAMETERS} weights.")
    if net.stride != manifest.stride:
        raise PackError(
            f"{pack.path}: the manifest says stride {manifest.stride}, the net has {net.stride}."
        )
    highest = manifest.tiers[-1].tier
    if net.n_tiers and highest > net.n_tiers:
        raise PackError(f"{pack.path}: tier {highest}, and the net tells {net.n_tiers} apart.")
    kernels = {key[4:]: value for key, value in stored.items() if key.startswith("net.")}
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    fill(net, from_stored(kernels, shapes))
    codebooks = {
        int(tier.tier): codewords(stored, int(tier.tier), int(tier.codebook_size), net.latent_dim)
        for tier in manifest.tiers
    }
    return Nets(net, codebooks, target)
