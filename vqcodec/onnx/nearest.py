"""The nearest codeword in numpy, as exact as `nets/quantizer.py` has it in torch."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

CHUNK: Final = 1 << 18  # distances held at once: 2 MiB in float64, so that they stay in the cache


def nearest(latents: NDArray[np.floating], codewords: NDArray[np.floating]) -> NDArray[np.int32]:
    """Find the nearest codeword of every latent vector by squared Euclidean distance.

    Equal distances go to the lowest index: whatever is within rounding of the least is compared
    again by its direct distance, in one fixed order of float64 sums.

    Args:
        latents: (N, D), finite.
        codewords: (K, D), finite, K at least 1.

    Returns:
        (N,) in [0, K).
    """
    words = codewords.astype(np.float64)
    square = np.square(words).sum(axis=1)  # (K,)
    rows = max(1, CHUNK // len(words))
    out = np.empty(len(latents), np.int32)
    for start in range(0, len(latents), rows):
        chunk = latents[start : start + rows].astype(np.float64)
        out[start : start + rows] = _nearest_chunk(chunk, words, square)
    return out


def _nearest_chunk(
    latents: NDArray[np.float64], words: NDArray[np.float64], square: NDArray[np.float64]
) -> NDArray[np.int64]:
    score = square - 2 * (latents @ words.T)  # distance - |latent|^2
    # Rounding of a dot product is below D u |z||c| (u = 2**-53; Higham 2002, section 3.1), of
    # |c|^2 below D u |c|^2; two scores are compared, and the factor of 8 also covers the additions.
    norm = np.sqrt(np.square(latents).sum(axis=1)) + np.sqrt(square.max())
    slack = 8 * (latents.shape[1] + 4) * 2.0**-53 * np.square(norm)
    row, word = np.nonzero(score <= (score.min(axis=1) + slack)[:, None])
    if len(row) == len(latents):  # one candidate each, as nearly always
        return word
    distance = np.zeros(len(row))
    for dim in range(latents.shape[1]):
        distance += np.square(latents[row, dim] - words[word, dim])
    # By latent, then distance, then index: the first of each latent is its answer.
    order = np.lexsort((word, distance, row))
    first = np.unique(row[order], return_index=True)[1]
    return word[order][first]
