"""Rate-distortion optimised quantisation: a slightly farther word where it is much cheaper.

The encoder walks over the map as the decoder will, and at each position weighs the distance of
every codeword to the latent against what its index costs under the context model, given all choices
before. Decoding knows nothing of it. Greedy: what a choice makes of later contexts is not looked
at.

Source: entropy-constrained vector quantisation, Chou, Lookabaugh and Gray 1989; the trellis
quantisation of video encoders is the same thought.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.packets import Header
from vqcodec.entropy.context import ContextModel
from vqcodec.payload import choose_index_map

DEFAULT_RDO = 0.15
"""Chosen on validation photos (docs/experiments.md, 015)."""

MAX_WEIGHT = 100.0


def choose(
    latents: NDArray[np.float32],
    codewords: NDArray[np.float32],
    header: Header,
    context: ContextModel,
    weight: float,
) -> NDArray[np.int32]:
    """Choose an index map.

    Args:
        latents: (h, w, D) of the image.
        codewords: (K, D) of the tier.
        header: of the file to be written: one packet, coding "context".
        context: the tier's context model.
        weight: squared distance that is worth one bit, at least 0.

    Returns:
        (h, w) int32: at each position the index of least |latent - codeword|**2 + weight * bits,
        the lowest of equal ones.
    """
    flat = latents.reshape(-1, latents.shape[-1])
    squares = np.square(codewords).sum(1)  # (K,)

    def cheapest(positions: NDArray[np.int64], sizes: NDArray[np.float64]) -> NDArray[np.int32]:
        # |latent|**2 and the 24 bits of a whole interval are the same for every word.
        costs = np.log2(sizes, dtype=np.float32)  # (n, K)
        costs *= np.float32(-weight)
        costs += squares - 2 * (flat[positions] @ codewords.T)
        found: NDArray[np.int32] = costs.argmin(1).astype(np.int32)
        return found

    return choose_index_map(header, context, cheapest)


def check_weight(weight: float | None, *, may_be_used: bool) -> None:
    """Refuse a weight that is none, or that has no bits to weigh.

    Args:
        weight: as asked for; None leaves the choice to the encoder.
        may_be_used: whether the file may be one of one packet in coding mode "context".

    Raises:
        ValueError: it is outside its range, or above 0 and has no use.
    """
    if weight is None:
        return
    if not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"rdo is {weight}; the weight of a bit is from 0 to {MAX_WEIGHT:g}")
    if weight and not may_be_used:
        raise ValueError(
            "rdo goes by the context model's bits, which only a file of one packet in coding "
            "'context' spends"
        )
