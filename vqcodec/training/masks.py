"""What is erased in training the restorer: the holes that channels and damaged disks leave.

Lost packets leave lattices of positions or of blocks (FORMAT.md, section 5), a damaged range of a
file with one position after the other leaves a band, an occluded part a patch; positions drawn one
by one make the network good at filling in rounds.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.layout import CONTEXT_BLOCK, PACKET_LAYOUTS
from vqcodec.indices.scan import packet_map

LEAST, MOST = 0.05, 0.99  # of the positions are erased
SLIGHT: Final = 0.6  # so often at most half of them are
LARGEST_PATCH: Final = 8


def random_mask(random: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """Draw which positions are erased.

    Args:
        random: source of chance.
        height: rows of the map, at least 1.
        width: columns, at least 1.

    Returns:
        (height, width), at least one position True and, where there are two, one False.
    """
    low, high = (LEAST, 0.5) if random.random() < SLIGHT else (0.5, MOST)
    share = float(random.uniform(low, high))
    kind = random.choice(["single", "packets", "patches", "band"], p=[0.4, 0.4, 0.1, 0.1])
    if kind == "single":
        mask = random.random((height, width)) < share
    elif kind == "packets":
        mask = _packets(random, height, width, share)
    elif kind == "patches":
        mask = _patches(random, height, width, share)
    else:
        mask = _band(random, height, width, share)
    flat = mask.ravel()
    if not flat.any():
        flat[random.integers(flat.size)] = True
    if flat.all() and flat.size > 1:
        flat[random.integers(flat.size)] = False
    return mask


def _packets(
    random: np.random.Generator, height: int, width: int, share: float
) -> NDArray[np.bool_]:
    """Lose packets of a file, scattered ones or a burst; the map is a window of a larger one."""
    n_packets, step = PACKET_LAYOUTS[int(random.integers(1, len(PACKET_LAYOUTS)))]
    block = (1, 1) if random.random() < 0.7 else CONTEXT_BLOCK
    top, left = random.integers(0, 8 * np.array(block))
    packets = packet_map(height + top, width + left, n_packets, step, block)[top:, left:]
    n_lost = min(max(1, round(share * n_packets)), n_packets - 1)
    if random.random() < 0.5:
        lost = random.permutation(n_packets)[:n_lost]
    else:
        lost = (random.integers(n_packets) + np.arange(n_lost)) % n_packets
    mask: NDArray[np.bool_] = np.isin(packets, lost)
    return mask


def _patches(
    random: np.random.Generator, height: int, width: int, share: float
) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), bool)
    while mask.mean() < min(share, 0.6):
        row, column = random.integers(0, [height, width])
        rows, columns = random.integers(1, LARGEST_PATCH + 1, 2)
        mask[row : row + rows, column : column + columns] = True
    return mask


def _band(random: np.random.Generator, height: int, width: int, share: float) -> NDArray[np.bool_]:
    size = height * width
    mask = np.zeros(size, bool)
    mask[(random.integers(size) + np.arange(round(share * size))) % size] = True
    return mask.reshape(height, width)
