"""Counts to integer frequency tables of a fixed sum, and the code length that a table promises.

FORMAT.md section 7.1. Tables are integers from the pack on: no float ever decides how a byte is
read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FREQUENCY_SUM = 2**16
LARGEST_FREQUENCY = FREQUENCY_SUM - 2**11
"""A likelier word costs so few bits that the coder's rounding would add more than 1 % to it."""


def from_counts(counts: ArrayLike) -> NDArray[np.uint16]:
    """Scale counts to a frequency table, by largest remainders.

    Args:
        counts: (K,) how often each word was used, non-negative and finite; 2 <= K <= 2**16 - 1.
            All zero means uniform.

    Returns:
        (K,) table; guarantees: sums to 2**16 exactly, every entry is at least 1 and at
        most 63488, deterministic.

    Raises:
        ValueError: fewer than two words, too many, or a negative or infinite count.
    """
    wanted = np.asarray(counts, np.float64)
    if wanted.ndim != 1 or not 2 <= len(wanted) < FREQUENCY_SUM:
        raise ValueError(
            f"counts of shape {wanted.shape}: need one row of 2 to {FREQUENCY_SUM - 1}"
        )
    if not np.isfinite(wanted).all() or (wanted < 0).any():
        raise ValueError("counts must be finite and not negative")
    if not wanted.any():
        wanted = np.ones_like(wanted)
    wanted = wanted / wanted.max()  # tiny counts would overflow the quotient below
    free = FREQUENCY_SUM - len(wanted)
    shares = wanted * (free / wanted.sum())
    table = np.floor(shares).astype(np.int64)
    largest_first = np.argsort(table - shares, kind="stable")
    table[largest_first[: free - int(table.sum())]] += 1
    table += 1
    excess = max(0, int(table.max()) - LARGEST_FREQUENCY)  # of one word: two cannot be that likely
    if excess:
        likeliest = int(table.argmax())
        share, rest = divmod(excess, len(table) - 1)
        gain = np.full(len(table) - 1, share)
        gain[:rest] += 1
        table += np.insert(gain, likeliest, -excess)
    result: NDArray[np.uint16] = table.astype(np.uint16)
    return result


def check_table(frequencies: NDArray[np.uint16]) -> None:
    """Refuse what is not a frequency table.

    Raises:
        ValueError: wrong dtype or shape, an entry of 0 or above 63488, or another sum than 2**16.
    """
    if frequencies.dtype != np.uint16 or frequencies.ndim != 1 or len(frequencies) < 2:
        raise ValueError(
            f"a frequency table is a row of uint16, not {frequencies.dtype} {frequencies.shape}"
        )
    if (frequencies == 0).any() or int(frequencies.sum(dtype=np.int64)) != FREQUENCY_SUM:
        raise ValueError("a frequency table has no zero and sums to 65536")
    if int(frequencies.max()) > LARGEST_FREQUENCY:
        raise ValueError(f"a frequency table has no entry above {LARGEST_FREQUENCY}")


def ideal_bits(symbols: NDArray[np.int32], frequencies: NDArray[np.uint16]) -> float:
    """Return the ideal code length of `symbols` under a table, in bits."""
    table = frequencies.astype(np.float64) / FREQUENCY_SUM
    return float(-np.log2(table[symbols]).sum()) if len(symbols) else 0.0
