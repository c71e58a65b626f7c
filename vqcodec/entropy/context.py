"""The integer network of coding mode 2: neighbours of positions in, cells of the range coder out.

FORMAT.md section 7A. All arithmetic is of integers and exact: factors have eight bits and every
sum stays below 2**24, which is checked when a model is made, so that float32 holds each partial sum
whatever the order of summation, with fused multiply-add or without. BLAS may thus do the work, on
any machine and with any number of threads, and no rounding ever takes place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

UNITS: Final = 2**24
"""Units of the range coder's interval, and the bound below which float32 counts exactly."""

LARGEST_OFFSET: Final = 12
_LARGEST_INPUT: Final = 128
_LARGEST_HIDDEN: Final = 255
_LARGEST_NECK: Final = 127
_CODEWORD_STEPS: Final = 32
_EXP_ENTRIES: Final = 576
_RATIO_BITS: Final = 20
_ENTRIES_AT_ONCE: Final = 2**17
_ROWS_AT_LEAST: Final = 64


def exp_table() -> list[int]:
    """Return EXP[e] = (floor(2**(17 - e / 32)) + 1) >> 1 for e from 0 to 575, without any float.

    That is 2**16 * 2**(-e / 32), rounded with halves upwards; five nested integer square roots are
    one exact 32nd root.
    """

    def halves(exponent: int) -> int:
        value = 1 << 544 - exponent
        for _ in range(5):
            value = math.isqrt(value)
        return value

    return [halves(e) + 1 >> 1 if e <= 544 else 0 for e in range(_EXP_ENTRIES)]


_EXP: Final = np.array(exp_table(), np.float64)


@dataclass(frozen=True)
class Layer:
    """A layer of the network: (x @ weight + bias), divided by 2**shift and rounded."""

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    shift: int


class ContextModel:
    """Predicts each index of a map from its causal neighbours, for one tier.

    Args:
        offsets: (M, 2) of the neighbours, (dy, dx) each; visited before the position itself.
        codewords: (K, E) the tier's codebook.
        special: (2, E) embedding of an unknown neighbour and of one outside the map.
        first: (M * E, H) layer.
        blocks: (H, H) layers, each added to what it reads; may be none.
        neck: (H, D) layer.
        learned: (K, D - E) what the tier's words have besides their codewords.
        logit_bias: (K,).

    Raises:
        ValueError: an offset is not causal or too far, a codeword is not finite, a shift is 0, or a
            sum could reach 2**24.
    """

    def __init__(
        self,
        *,
        offsets: NDArray[np.int8],
        codewords: NDArray[np.floating],
        special: NDArray[np.int8],
        first: Layer,
        blocks: Sequence[Layer],
        neck: Layer,
        learned: NDArray[np.int8],
        logit_bias: NDArray[np.int32],
    ) -> None:
        _check_offsets(offsets)
        words = quantized(codewords)
        self.offsets = offsets.astype(np.int64)
        self.size = len(words)
        self._embedding = np.concatenate([words, special]).astype(np.float32)
        self._first = _Rounded("first", first, _LARGEST_INPUT)
        self._blocks = [
            _Rounded(f"block {number}", block, _LARGEST_HIDDEN)
            for number, block in enumerate(blocks)
        ]
        self._neck = _Rounded("neck", neck, _LARGEST_HIDDEN)
        keys = np.concatenate([words, learned], axis=1).T
        _check_bound("logits", keys, _LARGEST_NECK, logit_bias)
        # The outer columns stand for the units that belong to no index: nothing is as unlikely, so
        # that their frequency is 0 and rows come out as the range coder takes them. Everything is
        # divided by 16 here, exactly, which makes the shift by 4 a truncation.
        self._keys = np.pad(keys, ((0, 0), (1, 1))).astype(np.float32)
        self._logit_bias = np.pad(
            logit_bias.astype(np.float32) / 16, (1, 1), constant_values=-4.0 * UNITS / 16
        )
        self._ones = np.ones(self.size + 2)

    @property
    def rows_at_once(self) -> int:
        """How many positions to ask for at a time: few, for the cache; enough, for BLAS."""
        return max(_ROWS_AT_LEAST, _ENTRIES_AT_ONCE // self.size)

    def rows(
        self, neighbours: NDArray[np.integer], space: Space | None = None
    ) -> NDArray[np.float64]:
        """Predict.

        Args:
            neighbours: (n, M) the index at each offset; K where it is unknown, K + 1 outside.
            space: memory to use again, of `rows_at_once` rows or more; the result then lies in it
                and lasts until the next call. Where memory is new each time, finding it takes
                longer than all the arithmetic.

        Returns:
            (n, K + 2) size[i] - 1 in column i + 1; columns 0 and K + 1 stand likewise for the units
            below and above, which belong to no index. Integers, and each row sums to
            2**24 - (K + 2) exactly.
        """
        n = len(neighbours)
        space = Space(n, self.size) if space is None else space
        logits, entries, rows = space.logits[:n], space.entries[:n], space.rows[:n]
        queries = self._queries(neighbours)
        # Everything here is a finite integer. A BLAS may flag what it computes beside a small
        # matrix and throws away (seen once with OpenBLAS 0.3.31 and eight words); were a result no
        # number, the cast to integers below would warn.
        with np.errstate(invalid="ignore"):
            np.matmul(queries, self._keys, out=logits)
        logits += self._logit_bias
        # Differences above 2**24 / 16 may round here; like all above 575 they take the last entry.
        np.subtract(logits.max(axis=1, keepdims=True), logits, out=logits)
        np.copyto(entries, logits, casting="unsafe")
        _EXP.take(entries, out=rows, mode="clip")
        spare = UNITS - (self.size + 2)
        ratio = (spare << _RATIO_BITS) // (rows @ self._ones).astype(np.int64)
        rows *= ratio[:, None] * 2.0**-_RATIO_BITS  # below 2**45 before the division: exact
        np.floor(rows, out=rows)
        rows[:, -1] = spare - rows @ self._ones
        return rows

    def _queries(self, neighbours: NDArray[np.integer]) -> NDArray[np.float32]:
        """(n, D) what the network makes of neighbours, divided by 16."""
        inputs = self._embedding.take(neighbours.ravel(), axis=0)
        inputs = inputs.reshape(len(neighbours), len(self.offsets) * inputs.shape[1])
        hidden = self._first(inputs, 0, _LARGEST_HIDDEN)
        for block in self._blocks:
            hidden += block(hidden, 0, _LARGEST_HIDDEN)
            np.minimum(hidden, _LARGEST_HIDDEN, out=hidden)
        queries = self._neck(hidden, -_LARGEST_NECK, _LARGEST_NECK)
        queries *= np.float32(1 / 16)
        return queries


class Space:
    """Memory for the prediction of up to `n` positions among `size` words."""

    def __init__(self, n: int, size: int) -> None:
        self.logits = np.empty((n, size + 2), np.float32)
        self.entries = np.empty((n, size + 2), np.intp)
        self.rows = np.empty((n, size + 2), np.float64)


class _Rounded:
    """A layer ready to run: float32 integers in and out."""

    def __init__(self, name: str, layer: Layer, largest: int) -> None:
        if layer.shift < 1:
            raise ValueError(f"{name}: shift 0, must be at least 1")
        half = 1 << layer.shift - 1
        _check_bound(name, layer.weight, largest, layer.bias, half)
        self._weight = layer.weight.astype(np.float32)
        self._bias = (layer.bias.astype(np.int64) + half).astype(np.float32)
        self._factor = np.float32(2.0**-layer.shift)

    def __call__(self, inputs: NDArray[np.float32], low: int, high: int) -> NDArray[np.float32]:
        """(n, I) -> (n, O) between low and high."""
        sums: NDArray[np.float32] = inputs @ self._weight
        sums += self._bias
        sums *= self._factor
        np.floor(sums, out=sums)
        np.maximum(sums, np.float32(low), out=sums)
        return np.minimum(sums, np.float32(high), out=sums)


def quantized(codewords: NDArray[np.floating]) -> NDArray[np.int8]:
    """Round codewords to int8 in steps of 1/32, halves to even, within -127 to 127."""
    if not np.isfinite(codewords).all():
        raise ValueError("codewords are not finite")
    steps = np.rint(codewords.astype(np.float32) * _CODEWORD_STEPS)
    return np.clip(steps, -127, 127).astype(np.int8)


def _check_offsets(offsets: NDArray[np.int8]) -> None:
    for dy, dx in offsets.tolist():
        is_causal = dx < -2 * dy if dy < 0 else dy == 0 and dx < 0
        if not is_causal or max(abs(dy), abs(dx)) > LARGEST_OFFSET:
            raise ValueError(
                f"offset ({dy}, {dx}) is not visited before its position, or is beyond "
                f"{LARGEST_OFFSET}"
            )


def _check_bound(
    name: str,
    weight: NDArray[np.int8],
    largest: int,
    bias: NDArray[np.int32],
    half: int = 0,
) -> None:
    """Refuse a layer of which a sum, rounding included, could leave what float32 counts."""
    sums = np.abs(weight.astype(np.int64)).sum(axis=0) * largest
    worst = int((sums + np.abs(bias.astype(np.int64))).max()) + half
    if worst >= UNITS:
        raise ValueError(f"{name}: sums reach {worst}, must stay below 2**24")
