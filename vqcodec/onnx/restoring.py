"""A pack's restorer in onnxruntime: what `nets.restoring` does, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqcodec import tiles
from vqcodec.backends import Restored, check_gappy
from vqcodec.errors import PackError
from vqcodec.onnx import restorer
from vqcodec.onnx.session import Session, check_device
from vqcodec.onnx.stored import codewords, read_weights
from vqcodec.packs.networks import RestorerPlan
from vqcodec.tiles import Progress

if TYPE_CHECKING:
    from vqcodec.packs.store import Pack


class OnnxRestorer:
    """A restorer with its weights.

    Args:
        session: of its graph.
        codebooks: codewords (K_T, E) float32 by tier.
    """

    def __init__(self, session: Session, codebooks: dict[int, NDArray[np.float32]]) -> None:
        self._session, self.codebooks = session, codebooks

    def restore(
        self, indices: NDArray[np.integer], tier: int, progress: Progress | None = None
    ) -> Restored:
        """Fill the erased places of an index map.

        Args:
            indices: (h, w) integers in [0, K), -1 where the index was lost.
            tier: one that the pack has.
            progress: called with (done, total) after each tile.

        Returns:
            The filled map; received indices are never changed.

        Raises:
            ValueError: shape, tier or a value is wrong (caller's mistake).
            BackendError: out of memory.
        """
        if tier not in self.codebooks:
            raise ValueError(f"tier {tier} is not in {sorted(self.codebooks)}")
        words = self.codebooks[tier]
        check_gappy(indices, len(words))
        erased = indices < 0
        filled = np.where(erased, 0, indices).astype(np.int32)
        latents = words[filled]  # (h, w, E)
        entropy = 0.0
        cut = tiles.cut(indices.shape[0], indices.shape[1], RestorerPlan.HALO)
        for done, tile in enumerate(cut, 1):
            mine = erased[tile.core]
            if mine.any():
                found, painted, bits = self._answers(indices[tile.frame], tile.inner, tier)
                entropy += bits
                filled[tile.core][mine] = found
                latents[tile.core][mine] = painted
            if progress is not None:
                progress(done, len(cut))
        return Restored(filled, latents, entropy / max(1, int(erased.sum())))

    def _answers(
        self, seen: NDArray[np.integer], inner: tuple[slice, slice], tier: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], float]:
        """Indices (n,), latents (n, E), summed entropy for the gaps in a frame's inner part."""
        words = self.codebooks[tier]
        wanted = np.zeros(seen.shape, bool)
        wanted[inner] = seen[inner] < 0
        places = np.flatnonzero(wanted).astype(np.int32)
        at_once = restorer.places_at_once(len(words))
        parts = [
            self._session.run(
                indices=seen.astype(np.int32),
                codewords=words,
                tier=np.array([tier], np.int32),
                places=places[start : start + at_once],
            )
            for start in range(0, len(places), at_once)
        ]
        found, painted, bits = (np.concatenate(part) for part in zip(*parts, strict=True))
        return found, painted, float(bits.sum(dtype=np.float64))


def model_of(pack: Pack) -> bytes:
    """Make the graph of a pack's restorer.

    Raises:
        PackError: the pack has none, or it is broken, or does not fit the manifest.
    """
    entry = pack.manifest.restorer
    if entry is None:
        raise PackError(f"{pack.path}: the pack has no restorer.", path=pack.path)
    pack.check()
    pack.check_restorer()
    plan = RestorerPlan.of(entry.config, str(pack.path))
    sizes = {tier.tier: tier.codebook_size for tier in pack.manifest.tiers}
    dim = next(iter(codebooks_of(pack).values())).shape[1]
    try:
        return restorer.restorer(plan, sizes, dim, read_weights(pack.restorer_path))
    except PackError as error:  # it speaks of weights, and those of the pack are in another file
        message = f"{pack.restorer_path}: {error.message}"
        raise PackError(message, **error.details) from error


def codebooks_of(pack: Pack) -> dict[int, NDArray[np.float32]]:
    """Read codewords (K_T, E) float32 by tier; PackError where they are missing or wrong."""
    stored = read_weights(pack.weights_path)
    first = stored.get(f"tier.{pack.manifest.tiers[0].tier}.codewords")
    dim = 0 if first is None or not first.ndim else first.shape[-1]
    return {
        entry.tier: codewords(stored, entry.tier, entry.codebook_size, dim)
        for entry in pack.manifest.tiers
    }


def load_restorer(pack: Pack, *, device: str = "auto", threads: int | None = None) -> OnnxRestorer:
    """Load a pack's restorer.

    Args:
        pack: from `vqcodec.packs.store`, one that has a restorer.
        device: "auto" or "cpu".
        threads: CPU threads; None takes all that this process may use.

    Raises:
        PackError: the pack has none, or it is broken, or does not fit the manifest.
        BackendError: another device, or out of memory.
    """
    check_device(device)
    return OnnxRestorer(Session(model_of(pack), threads), codebooks_of(pack))
