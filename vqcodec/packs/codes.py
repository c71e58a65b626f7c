"""Codes of a compressed pack's kernels, packed to as many bits as each has.

What they stand for is said in `nets/codes.py`, and in docs/ARCHITECTURE.md, "Model packs".
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_WORDS: Final = 1 << 16  # of a kernel's table
MAX_DIM: Final = 64  # weights that a word stands for


def pack_bits(codes: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """Integers in [0, 2**bits) one after the other, most significant bit first."""
    if bits == 8:
        return codes.astype(np.uint8)
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint32)
    return np.packbits((codes.astype(np.uint32)[:, None] >> shifts & 1).astype(np.uint8))


def unpack_bits(packed: NDArray[np.uint8], bits: int, n: int) -> NDArray[np.int32]:
    """The inverse of `pack_bits` for n integers."""
    if bits == 8:
        return packed.astype(np.int32)
    whole = np.zeros((n, 16), np.uint8)  # numpy has bytes from bits, so codes become two of them
    whole[:, 16 - bits :] = np.unpackbits(packed, count=n * bits).reshape(n, bits)
    return np.packbits(whole).view(">u2").astype(np.int32)
