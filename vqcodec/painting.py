"""From an index map with gaps to a picture: the gaps filled, then the networks' decoder.

The backend, torch or onnxruntime, is loaded with the networks, which are kept from call to call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vqcodec import backends
from vqcodec.backends import Nets, Progress, Restorer
from vqcodec.errors import ModelMismatchError
from vqcodec.indices.concealment import copy_neighbours
from vqcodec.packs import store

RESTORERS: Final = ("transformer", "neighbour", "mean", "none")
"""What fills gaps: the pack's network; the nearest received index in row or column; everywhere the
index whose codeword is nearest to the tier's mean one; everywhere the most frequent index."""


@dataclass(frozen=True)
class Painting:
    """A painted index map.

    Attributes:
        pixels: (stride * h, stride * w, 3) uint8 sRGB.
        indices: (h, w) int32, lost indices as the restorer thinks they were.
        restorer: which one filled the gaps; None where there were none.
        entropy_bits: what the network does not know of a lost index, bits; None without it.
        backend: "torch" or "onnx", which ran the networks.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int32]
    restorer: str | None
    entropy_bits: float | None = None
    backend: str = "torch"


def load_nets(pack: store.Pack, device: str, threads: int | None, backend: str = "auto") -> Nets:
    """Load a pack's networks; the last two are kept, so that many images cost one loading.

    Args:
        pack: whose networks.
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves the backend's choice.
        backend: one of `backends.BACKENDS`.

    Raises:
        ModelError: the pack is broken, or its network is not for this backend.
        BackendError: the backend or the device is missing, or memory ran out.
    """
    return _nets(pack.path, pack.digest, device, threads, backends.resolve(backend))


def paint(
    indices: NDArray[np.int32],
    pack: store.Pack,
    tier: int,
    *,
    restorer: str | None,
    device: str,
    threads: int | None,
    progress: Progress | None,
    backend: str = "auto",
) -> Painting:
    """Paint an index map.

    Args:
        indices: (h, w) of the tier, -1 where lost; at least one is not.
        pack: whose networks paint.
        tier: of the indices.
        restorer: one of `RESTORERS`, or None for the network where the pack has one, else
            "neighbour".
        device: "auto", "cpu" or "cuda[:N]".
        threads: for the networks; None leaves the backend's choice.
        progress: called with (tiles done, tiles in all).
        backend: one of `backends.BACKENDS`.

    Raises:
        ModelMismatchError: the pack lacks the network that was asked for, or has one that is not
            for this backend.
        PackError: the pack is broken.
        BackendError: the backend or the device is missing, or memory ran out.
    """
    used = _restorer_for(pack, restorer) if (indices < 0).any() else None
    ran_by = backends.resolve(backend)
    nets = load_nets(pack, device, threads, ran_by)
    if used == "transformer":
        digest = "" if pack.manifest.restorer is None else pack.manifest.restorer.sha256
        loaded = _restorer(pack.path, digest, device, threads, ran_by)
        restored = loaded.restore(indices, tier)
        pixels = nets.from_latents(restored.latents, tier, progress)
        return Painting(pixels, restored.indices, used, restored.entropy_bits, ran_by)
    if used == "neighbour":
        indices = copy_neighbours(indices)
    elif used is not None:
        everywhere = _constant(pack.frequencies(tier), nets.codewords(tier), used)
        indices = np.where(indices < 0, everywhere, indices)
    return Painting(nets.to_pixels(indices, tier, progress), indices, used, backend=ran_by)


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
def _nets(path: Path, digest: str, device: str, threads: int | None, backend: str) -> Nets:
    del digest  # part of the key: a pack that changed on disk is loaded anew
    pack = store.load(path)
    if backend == "onnx":
        from vqcodec.onnx.load import load as load_onnx

        return load_onnx(pack, device=device, threads=threads)
    from vqcodec.nets.load import load

    return load(pack, device=device, threads=threads)


@lru_cache(maxsize=2)
def _restorer(path: Path, digest: str, device: str, threads: int | None, backend: str) -> Restorer:
    del digest  # as above
    pack = store.load(path)
    if backend == "onnx":
        from vqcodec.onnx.restoring import load_restorer as load_onnx

        return load_onnx(pack, device=device, threads=threads)
    from vqcodec.nets.restoring import load_restorer

    return load_restorer(pack, device=device)
