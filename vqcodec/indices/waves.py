"""The order in which coding mode 2 visits an index map, and what it sees there of neighbours.

FORMAT.md section 7A. Position (r, c) belongs to wave c + 2 r: all that a wave depends on lies in
earlier ones, so its positions are predicted together, those of all packets at once. Packets stay
independent of one another, since an index of another packet is never seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


class Walk:
    """A walk over an index map, wave by wave; within a wave by packet, then by row.

    Attributes:
        positions: (n,) flat positions row * width + column in visiting order.
        packets: (n,) the packet of each.

    Args:
        packet_map: (h, w) the packet of every position.
        offsets: (M, 2) of the neighbours, (dy, dx) each.
        size: K; it stands for an index of another packet, K + 1 for what is outside the map.
    """

    def __init__(
        self, packet_map: NDArray[np.int32], offsets: NDArray[np.int64], size: int
    ) -> None:
        height, width = packet_map.shape
        waves = np.arange(width) + 2 * np.arange(height)[:, None]
        order = np.lexsort((packet_map.ravel(), waves.ravel()))  # stable: then by row
        self.positions = order
        self.packets = packet_map.ravel()[order]
        self._ends = np.cumsum(np.bincount(waves.ravel()))
        self._shape, self._size = (height, width), size
        # A canvas with a margin, on which every neighbour lies at a fixed distance.
        dy, dx = offsets[:, 0], offsets[:, 1]
        top, left, right = max(-dy.min(), 0), max(-dx.min(), 0), max(dx.max(), 0)
        inside = (slice(top, None), slice(left, left + width))
        canvas = np.full((top + height, left + width + right), size + 1, np.int32)
        canvas[inside] = size
        stride = canvas.shape[1]
        self._canvas = canvas.ravel()
        self._places = (order // width + top) * stride + order % width + left
        self._steps = dy * stride + dx
        self._owners = None
        if self.packets.any():
            owners = np.full(canvas.shape, -1, np.int32)
            owners[inside] = packet_map
            self._owners = owners.ravel()

    def spans(self, at_most: int, *, is_known: bool = False) -> Iterator[slice]:
        """Cut the walk into steps that are predicted together.

        Args:
            at_most: positions of a step.
            is_known: whether all indices stand on the canvas; else a step ends with its wave.
        """
        start = 0
        for end in [len(self.positions)] if is_known else self._ends.tolist():
            for first in range(start, end, at_most):
                yield slice(first, min(first + at_most, end))
            start = end

    def neighbours(self, span: slice | NDArray[np.int64]) -> NDArray[np.int32]:
        """See the neighbours of a step's positions, or of some: (n, M) indices, K or K + 1."""
        places = self._places[span, None] + self._steps
        seen: NDArray[np.int32] = self._canvas.take(places)
        if self._owners is not None:
            owners = self._owners.take(places)
            seen[(owners != self.packets[span, None]) & (owners >= 0)] = self._size
        return seen

    def put(
        self, span: slice | NDArray[np.int64 | np.bool_], indices: NDArray[np.int32] | int
    ) -> None:
        """Write indices: of a step, or of chosen numbers in visiting order."""
        self._canvas[self._places[span]] = indices

    def index_map(self) -> NDArray[np.int32]:
        """Return the indices as they stand, (h, w)."""
        flat = np.empty(len(self.positions), np.int32)
        flat[self.positions] = self._canvas[self._places]
        return flat.reshape(self._shape)
