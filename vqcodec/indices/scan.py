"""Which packet carries which position of an index map (FORMAT.md section 5).

Position (row, column) travels in packet (column + step * row) mod P: a lattice, so that one lost
packet leaves scattered holes whose neighbours were received. Coding mode 2 deals blocks of
positions in the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def packet_map(
    height: int, width: int, n_packets: int, row_step: int, block: tuple[int, int] = (1, 1)
) -> NDArray[np.int32]:
    """Number the packet of every position.

    Args:
        height: rows of the index map.
        width: columns of the index map.
        n_packets: P.
        row_step: s of the packet layout.
        block: rows and columns that travel together.

    Returns:
        (height, width) values in [0, P).
    """
    rows = np.arange(height, dtype=np.int32)[:, None] // np.int32(block[0])
    columns = np.arange(width, dtype=np.int32)[None, :] // np.int32(block[1])
    return (columns + row_step * rows) % np.int32(n_packets)


def packet_positions(
    height: int, width: int, n_packets: int, row_step: int
) -> list[NDArray[np.int64]]:
    """List every packet's positions in coding order.

    Returns:
        For each packet the flat positions row * width + column, ascending (raster order); together
        they are a permutation of all positions. A packet may have none where the map is small.
    """
    packets = packet_map(height, width, n_packets, row_step).ravel()
    order = np.argsort(packets, kind="stable")
    ends = np.cumsum(np.bincount(packets, minlength=n_packets))
    return np.split(order, ends[:-1])
