"""The only door to constriction: symbols and integer tables, or cells, to bytes and back.

FORMAT.md section 7.2: range coding after Martin 1979 with a 64-bit state and 32-bit words, as
constriction's queue coder has it. Its traps are closed here: tables go in as float64 made from
integers that sum to 2**16, so that its fixed-point conversion is exact integer arithmetic;
`perfect=False` always; symbols as int32; words as big-endian bytes of which the spare tail is
dropped.

`encode` and `decode` take one table for all symbols (mode 1); `encode_cells` and `CellDecoder` take
each symbol's own cells (section 7A), again as float64 integers of a sum that makes the conversion
exact: 2**24 less one unit per symbol.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable

import constriction
import numpy as np
from numpy.typing import NDArray

from vqcodec.entropy.frequencies import check_table
from vqcodec.errors import FormatError

_queue = constriction.stream.queue
_Categorical = constriction.stream.model.Categorical
_WORD_BYTES = 4
_UNITS = 2**24


def _model(frequencies: NDArray[np.uint16]) -> constriction.stream.model.Categorical:
    check_table(frequencies)
    return _Categorical(np.ascontiguousarray(frequencies, np.float64), perfect=False)


def _decoder(payload: bytes) -> constriction.stream.queue.RangeDecoder:
    """Start decoding, with zeros behind the payload."""
    padded = payload + bytes(-len(payload) % _WORD_BYTES)
    return _queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))


def _decode(
    payload: bytes, n: int, model: constriction.stream.model.Categorical
) -> NDArray[np.int32] | None:
    """Decode with zeros behind the payload; None where no symbol fits."""
    try:
        return np.asarray(_decoder(payload).decode(model, n), np.int32)
    except AssertionError:  # constriction's word for a state that no encoder can reach
        return None


def _shortest(
    encoder: constriction.stream.queue.RangeEncoder, is_right: Callable[[bytes], bool]
) -> bytes:
    """Seal a stream and drop what the decoder does not need of its tail."""
    sealed = encoder.get_compressed().astype(">u4").tobytes()

    def shortened(size: int) -> bytes | None:
        """Cut the sealed value to that size, or to one unit more, if that still decodes."""
        cut = int.from_bytes(sealed[:size], "big")
        for value in (cut, cut + 1):
            if value < 1 << 8 * size:
                candidate = value.to_bytes(size, "big")
                if is_right(candidate):
                    return candidate
        return None

    # Whatever fits in n bytes fits in n + 1, so the shortest size is found by bisection.
    size = bisect.bisect_left(
        range(len(sealed)), True, key=lambda size: shortened(size) is not None
    )
    return shortened(size) or sealed[:size]


def _check_payload(payload: bytes, n: int) -> None:
    if payload.endswith(b"\0") or len(payload) > 3 * n + 1 or (n == 0 and payload):
        raise FormatError(
            f"a payload of {len(payload)} bytes for {n} indices is not one that an encoder writes"
        )


def _out_of_range(size: int, n: int) -> FormatError:
    return FormatError(f"a payload of {size} bytes for {n} indices leaves the range coder's range")


def encode(symbols: NDArray[np.int32], frequencies: NDArray[np.uint16]) -> bytes:
    """Range-code one packet's symbols.

    Args:
        symbols: (n,) values in [0, K), in coding order; n may be 0.
        frequencies: (K,) table that sums to 2**16, no entry 0.

    Returns:
        The payload: the shortest bytes that decode to `symbols`, never ending in a zero byte, at
        most 1 % and 3 bytes above the ideal code length.

    Raises:
        ValueError: a symbol is outside the table, or the table is none (caller's mistake).

    Source: FORMAT.md section 7.2.
    """
    model = _model(frequencies)
    if not len(symbols):
        return b""
    if symbols.min() < 0 or symbols.max() >= len(frequencies):
        raise ValueError(f"symbols must lie in 0 to {len(frequencies) - 1}")
    symbols = np.ascontiguousarray(symbols, np.int32)
    encoder = _queue.RangeEncoder()
    encoder.encode(symbols, model)

    def is_right(candidate: bytes) -> bool:
        decoded = _decode(candidate, len(symbols), model)
        return decoded is not None and np.array_equal(decoded, symbols)

    return _shortest(encoder, is_right)


def decode(payload: bytes, n: int, frequencies: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Decode one packet's symbols.

    Args:
        payload: as `encode` wrote it; its checksum has been compared before.
        n: how many symbols it holds.
        frequencies: the table that it was written with.

    Returns:
        (n,) symbols in [0, K).

    Raises:
        FormatError: no encoder writes this payload (it ends in a zero byte, is longer than n
            symbols can need, or leaves the coder's range).
    """
    model = _model(frequencies)
    _check_payload(payload, n)
    symbols = _decode(payload, n, model) if n else np.zeros(0, np.int32)
    if symbols is None:
        raise _out_of_range(len(payload), n)
    return symbols


def cells(
    rows: NDArray[np.float64], symbols: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Look up the cells of known symbols.

    Args:
        rows: (n, K + 2) as for `CellDecoder.decode`, contiguous.
        symbols: (n,) values in [0, K).

    Returns:
        left and size, (n,) each, as `encode_cells` takes them.
    """
    starts = np.arange(len(rows)) * rows.shape[1]
    own = starts + symbols + 1
    # Sums of column 0 to symbol; the stretches in between are summed, too, and dropped.
    below: NDArray[np.float64] = np.add.reduceat(
        rows.ravel(), np.stack([starts, own], axis=1).ravel()
    )[::2]
    left: NDArray[np.float64] = below + (symbols + 1)
    return left, rows.ravel()[own] + 1


def encode_cells(left: NDArray[np.float64], size: NDArray[np.float64]) -> bytes:
    """Range-code one packet's symbols, each given by its cell [left, left + size) of 2**24 units.

    Args:
        left: (n,) integers, at least 1, in coding order; n may be 0.
        size: (n,) integers, at least 1, with left + size below 2**24.

    Returns:
        The payload: the shortest bytes that decode to these cells, never ending in a zero byte.

    Raises:
        ValueError: a cell is outside its range (caller's mistake).

    Source: FORMAT.md sections 7.2 and 7A.
    """
    if not len(left):
        return b""
    if left.min() < 1 or size.min() < 1 or (left + size).max() >= _UNITS:
        raise ValueError("cells must lie in 1 to 2**24 - 1 and have at least one unit")
    # The coder needs to know of a symbol only what lies below, in and above its cell.
    rows = np.ascontiguousarray(
        np.stack([left - 1, size - 1, _UNITS - 1 - left - size], axis=1), np.float64
    )
    symbols, family = np.ones(len(rows), np.int32), _Categorical(perfect=False)
    encoder = _queue.RangeEncoder()
    encoder.encode(symbols, family, rows)

    def is_right(candidate: bytes) -> bool:
        try:
            return bool((_decoder(candidate).decode(family, rows) == 1).all())
        except AssertionError:
            return False

    return _shortest(encoder, is_right)


class CellDecoder:
    """Decodes one packet's symbols bit by bit, as their cells become known.

    Args:
        payload: as `encode_cells` wrote it; its checksum has been compared before.
        n: how many symbols it holds.

    Raises:
        FormatError: no encoder writes this payload.
    """

    def __init__(self, payload: bytes, n: int) -> None:
        _check_payload(payload, n)
        self._sizes = len(payload), n
        self._decoder = _decoder(payload)
        self._family = _Categorical(perfect=False)

    def decode(self, rows: NDArray[np.float64]) -> NDArray[np.int32]:
        """Decode the next symbols.

        Args:
            rows: (m, K + 2) size[i] - 1 in column i + 1, the units below and above all cells
                likewise in the outer ones; each row sums to 2**24 - (K + 2).

        Returns:
            (m,) symbols in [0, K).

        Raises:
            FormatError: the payload leads out of the cells.
        """
        try:
            columns = self._decoder.decode(self._family, np.ascontiguousarray(rows, np.float64))
        except AssertionError as error:
            raise _out_of_range(*self._sizes) from error
        symbols = np.asarray(columns, np.int32) - 1
        if symbols.min() < 0 or symbols.max() >= rows.shape[1] - 2:
            raise _out_of_range(*self._sizes)
        return symbols
