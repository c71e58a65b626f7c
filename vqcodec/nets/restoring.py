"""A pack's restorer, ready to run: maps with erased places in, indices and latents for them out.

numpy arrays cross the border. One pass over the map answers for all erased places, each from what
was received alone, so that a second run gives the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec import tiles
from vqcodec.backends import Restored, check_gappy
from vqcodec.errors import PackError
from vqcodec.nets.kernels import from_stored
from vqcodec.nets.machine import guarded, resolve_device
from vqcodec.nets.restorer import Restorer
from vqcodec.nets.stored import codewords, fill, read_weights
from vqcodec.packs.networks import RestorerPlan

if TYPE_CHECKING:
    from vqcodec.packs.store import Pack

HALO: Final = RestorerPlan.HALO
_LOGITS_AT_ONCE: Final = 1 << 22


class LoadedRestorer:
    """A restorer with its weights.

    Args:
        net: weights loaded.
        device: where to run.
    """

    def __init__(self, net: Restorer, device: torch.device) -> None:
        self.device = device
        with guarded(device):
            self.net = net.eval().requires_grad_(False).to(device)
            self.net.words = {tier: words.to(device) for tier, words in net.words.items()}

    def restore(
        self,
        indices: NDArray[np.integer],
        tier: int,
        progress: Callable[[int, int], None] | None = None,
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
        if tier not in self.net.words:
            raise ValueError(f"tier {tier} is not in {sorted(self.net.words)}")
        words = self.net.words[tier]
        check_gappy(indices, len(words))
        erased = indices < 0
        filled = np.where(erased, 0, indices).astype(np.int32)
        latents = words.cpu().numpy()[filled]  # (h, w, E)
        entropy = 0.0
        h, w = indices.shape
        cut = tiles.cut(h, w, HALO)
        with guarded(self.device), torch.inference_mode():
            for done, tile in enumerate(cut, 1):
                mine = erased[tile.core]
                if mine.any():
                    seen = indices[tile.frame]
                    found, painted, more = self._answers(seen, tile.inner, tier)
                    entropy += more
                    filled[tile.core][mine] = found
                    latents[tile.core][mine] = painted
                if progress is not None:
                    progress(done, len(cut))
        return Restored(filled, latents, entropy / max(1, int(erased.sum())))

    def _answers(
        self, seen: NDArray[np.integer], inner: tuple[slice, slice], tier: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], float]:
        """Indices (n,), latents (n, E), summed entropy for the gaps in a frame's inner part."""
        frame = torch.from_numpy(seen.astype(np.int64)).to(self.device)
        received = frame >= 0
        features = self.net(frame.clamp_min(0)[None], received[None], tier)[0]
        mine = features[inner][~received[inner]]  # (n, width)
        rows = max(1, _LOGITS_AT_ONCE // len(self.net.words[tier]))
        found: list[Tensor] = []
        painted: list[Tensor] = []
        entropy = 0.0
        for part in mine.split(rows):
            logits = self.net.logits(part, tier)
            found.append(logits.argmax(1))
            painted.append(self.net.latents(part, logits, tier))
            chances = logits.log_softmax(1)
            entropy -= float((chances.exp() * chances).sum()) / math.log(2)
        return (
            torch.cat(found).to(torch.int32).cpu().numpy(),
            torch.cat(painted).float().cpu().numpy(),
            entropy,
        )


def load_restorer(pack: Pack, *, device: str = "auto") -> LoadedRestorer:
    """Load a pack's restorer.

    Args:
        pack: from `vqcodec.packs.store`, one that has a restorer.
        device: "auto" (CUDA if there is one, else CPU), "cpu", "cuda" or "cuda:N".

    Raises:
        PackError: the pack has none, or it is broken, or does not fit the manifest.
        BackendError: no such device, or out of memory.
    """
    entry = pack.manifest.restorer
    if entry is None:
        raise PackError(f"{pack.path}: the pack has no restorer.", path=pack.path)
    target = resolve_device(device)
    pack.check()
    pack.check_restorer()
    plan = RestorerPlan.of(entry.config, str(pack.path))
    stored = read_weights(pack.weights_path)
    first = stored.get(f"tier.{pack.manifest.tiers[0].tier}.codewords")
    dim = 0 if first is None or not first.dim() else first.shape[-1]
    books = {
        int(tier.tier): codewords(stored, int(tier.tier), int(tier.codebook_size), dim)
        for tier in pack.manifest.tiers
    }
    with torch.device("meta"):  # shapes only
        net = Restorer(books, plan.width, plan.blocks, plan.learned)
    tensors = read_weights(pack.restorer_path)
    try:
        fill(net, from_stored(tensors), "")
    except PackError as error:  # it speaks of weights, and those of the pack are in another file
        message = f"{pack.restorer_path}: {error.message}"
        raise PackError(message, **error.details) from error
    return LoadedRestorer(net, target)
