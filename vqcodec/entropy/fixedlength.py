"""Symbols in ceil(log2 K) bits each, most significant bit first (FORMAT.md section 6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vqcodec.errors import FormatError, TruncatedError

_CHUNK = (
    8 * 2**15
)  # symbols at a time: bounds the bit array; a multiple of 8 keeps chunks on byte borders


def bits_per_symbol(size: int) -> int:
    """Return ceil(log2 size) for a codebook of `size` words."""
    return (size - 1).bit_length()


def payload_bytes(n: int, size: int) -> int:
    """Return the exact payload size of n symbols, in bytes."""
    return -(-n * bits_per_symbol(size) // 8)


def encode(symbols: NDArray[np.int32], size: int) -> bytes:
    """Write each symbol in ceil(log2 size) bits; spare bits of the last byte are 0.

    Args:
        symbols: (n,) values in [0, size).
        size: of the codebook.

    Raises:
        ValueError: a symbol is outside the codebook (caller's mistake).
    """
    if len(symbols) and (symbols.min() < 0 or symbols.max() >= size):
        raise ValueError(f"symbols must lie in 0 to {size - 1}")
    shifts = np.arange(bits_per_symbol(size) - 1, -1, -1, dtype=np.int32)
    parts = (
        np.packbits(
            (symbols[start : start + _CHUNK, None] >> shifts & 1).astype(np.uint8)
        ).tobytes()
        for start in range(0, len(symbols), _CHUNK)
    )
    return b"".join(parts)


def decode(payload: bytes, n: int, size: int) -> NDArray[np.int32]:
    """Read n symbols.

    Args:
        payload: as `encode` wrote it.
        n: how many symbols it holds.
        size: of the codebook.

    Returns:
        (n,) values in [0, size).

    Raises:
        TruncatedError: the payload is too short.
        FormatError: it is too long, its spare bits are not 0, or a value lies outside the codebook.
    """
    expected, bits = payload_bytes(n, size), bits_per_symbol(size)
    if len(payload) != expected:
        kind = TruncatedError if len(payload) < expected else FormatError
        raise kind(
            f"a payload of {len(payload)} bytes, {n} indices of {bits} bits take {expected}",
            expected=expected,
            found=len(payload),
        )
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.int32)
    raw, symbols = np.frombuffer(payload, np.uint8), np.empty(n, np.int32)
    for start in range(0, n, _CHUNK):
        count = min(_CHUNK, n - start)
        first = start * bits // 8
        chunk = np.unpackbits(raw[first : first + -(-count * bits // 8)])
        if chunk[count * bits :].any():
            raise FormatError("spare bits at the end of a payload are not 0")
        symbols[start : start + count] = chunk[: count * bits].reshape(count, bits) @ weights
    if n and symbols.max() >= size:
        raise FormatError(f"index {int(symbols.max())} in a codebook of {size}")
    return symbols
