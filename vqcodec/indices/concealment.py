"""Filling erased positions of an index map without a network: what the restorer is compared with.

Integers in, integers out. Erased positions hold -1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FAR = np.iinfo(np.int32).max // 2


def copy_neighbours(indices: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give each erased position the index of a near received one.

    The nearest in its row or its column: of equally near ones left, then right, above, below. Where
    row and column have none, what was filled so far counts as received.

    Args:
        indices: (h, w), -1 where erased; at least one is not.

    Returns:
        (h, w) without -1.

    Raises:
        ValueError: all are erased.
    """
    filled = indices.astype(np.int32)
    if (filled < 0).all():
        raise ValueError("nothing was received: there is no neighbour to copy")
    while (filled < 0).any():
        best, distance = filled, np.where(filled < 0, _FAR, 0).astype(np.int32)
        for axis, is_reversed in ((1, False), (1, True), (0, False), (0, True)):
            index, far = _last_received(filled, axis, is_reversed)
            is_nearer = far < distance
            best = np.where(is_nearer, index, best)
            distance = np.where(is_nearer, far, distance)
        filled = best
    return filled


def _last_received(
    indices: NDArray[np.int32], axis: int, is_reversed: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each position the last received index before it along an axis, and how far it lies."""
    lines = np.moveaxis(indices, axis, 1)
    lines = lines[:, ::-1] if is_reversed else lines
    place = np.arange(lines.shape[1], dtype=np.int32)
    last = np.maximum.accumulate(np.where(lines < 0, -1, place), axis=1)
    index = np.take_along_axis(lines, np.maximum(last, 0), axis=1)
    far = np.where(last < 0, _FAR, place - last).astype(np.int32)
    if is_reversed:
        index, far = index[:, ::-1], far[:, ::-1]
    return np.moveaxis(index, 1, axis), np.moveaxis(far, 1, axis)
