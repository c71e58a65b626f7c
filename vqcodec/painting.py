"""From an index map with gaps to a picture: the gaps filled, then the networks' decoder.

torch is loaded with the networks, which are kept from call to call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import ModelMismatchError
from vqcodec.indices.concealment import copy_neighbours
from vqcodec.packs import store

if TYPE_CHECKING:
    from vqcodec.nets.load import Nets
    from vqcodec.nets.restoring import LoadedRestorer

RESTORERS: Final = ("transformer", "neighbour", "mean", "none")
"""What fills gaps: the pack's network; the nearest received index in row or column; everywhere the
index whose codeword is nearest to the tier's mean one; everywhere the most frequent index."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Painting:
    """A painted index map.

    Attributes:
        pixels: (stride * h, stride * w, 3) uint8 sRGB.
        indices: (h, w) int32, lost indices as the restorer thinks they were.
        restorer: which one filled the gaps; None where there were none.
        entropy_bits: what the network does not know of a lost index, bits; None without it.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int32]
    restorer: str | None
    entropy_bits: float | None = None


def load_nets(pack: store.Pack, device: str, threads: int | None) -> Nets:
    """Load a pack's networks; the last two are kept, so that many images cost one loading."""
    return _nets(pack.path, pack.digest, device, threads)


def paint(
    indices: NDArray[np.int32],
    pack: store.Pack,
    tier: int,
    *,
    restorer: str | None,
    device: str,
    threads: int | None,
    progress: Progress | None,
) -> Painting:
    """Paint an index map.

    Args:
        indices: (h, w) of the tier, -1 where lost; at least one is not.
        pack: whose networks paint.
        tier: of the indices.
        restorer: one of `RESTORERS`, or None for the network where the pack has one, else
            "neighbour".
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves torch's choice.
        progress: called with (tiles done, tiles in all).

    Raises:
        ModelMismatchError: the pack lacks the network that was asked for.
        PackError: the pack is broken.
        BackendError: torch or the device is missing, or memory ran out.
    """
    used = _restorer_for(pack, restorer) if (indices < 0).any() else None
    nets = load_nets(pack, device, threads)
    if used == "transformer":
        digest = "" if pack.manifest.restorer is None else pack.manifest.restorer.sha256
        restored = _restorer(pack.path, digest, device).restore(indices, tier)
        pixels = nets.from_latents(restored.latents, tier, progress)
        return Painting(pixels, restored.indices, used, restored.entropy_bits)
    if used == "neighbour":
        indices = copy_neighbours(indices)
    elif used is not None:
        everywhere = _constant(pack.frequencies(tier), nets.codewords(tier), used)
        indices = np.where(indices < 0, everywhere, indices)
    return Painting(nets.to_pixels(indices, tier, progress), indices, used)


def _constant(
    frequencies: NDArray[np.uint16], words: NDArray[np.float32], restorer: str
) -> np.int32:
    """Find the index that "mean" or "none" puts everywhere."""
    if restorer == "none":
        return np.int32(frequencies.argmax())
    mean = frequencies.astype(np.float64) @ words / frequencies.sum(dtype=np.int64)
    return np.int32(np.square(words - mean).sum(axis=1).argmin())


def _restorer_for(pack: store.Pack, wanted: str | None) -> str:
    if pack.manifest.restorer is not None:
        return wanted or "transformer"
    if wanted == "transformer":
        raise ModelMismatchError(
            f"model pack '{pack.name}' has no restorer; take --restorer neighbour, or train one "
            "with 'vqcodec train restorer'"
        )
    return wanted or "neighbour"


@lru_cache(maxsize=2)
def _nets(path: Path, digest: str, device: str, threads: int | None) -> Nets:
    from vqcodec.nets.load import load

    del digest  # part of the key: a pack that changed on disk is loaded anew
    return load(store.load(path), device=device, threads=threads)


@lru_cache(maxsize=2)
def _restorer(path: Path, digest: str, device: str) -> LoadedRestorer:
    from vqcodec.nets.restoring import load_restorer

    del digest  # as above
    return load_restorer(store.load(path), device=device)
