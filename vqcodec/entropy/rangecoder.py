"""The only door to constriction: symbols and one integer table to bytes and back.

FORMAT.md section 7.2: range coding after Martin 1979 with a 64-bit state and 32-bit words, as
constriction's queue coder has it. Its traps are closed here: tables go in as float64 made from
integers that sum to 2**16, so that its fixed-point conversion is exact integer arithmetic;
`perfect=False` always; symbols as int32; words as big-endian bytes of which the spare tail is
dropped.
"""

from __future__ import annotations

import bisect

import constriction
import numpy as np
from numpy.typing import NDArray

from vqcodec.entropy.frequencies import check_table
from vqcodec.errors import FormatError

_queue = constriction.stream.queue
_Categorical = constriction.stream.model.Categorical
_WORD_BYTES = 4


def _model(frequencies: NDArray[np.uint16]) -> constriction.stream.model.Categorical:
    check_table(frequencies)
    return _Categorical(np.ascontiguousarray(frequencies, np.float64), perfect=False)


def _decode(
    payload: bytes, n: int, model: constriction.stream.model.Categorical
) -> NDArray[np.int32] | None:
    """Decode with zeros behind the payload; None where no symbol fits."""
    padded = payload + bytes(-len(payload) % _WORD_BYTES)
    words = np.frombuffer(padded, ">u4").astype(np.uint32)
    try:
        return np.asarray(_queue.RangeDecoder(words).decode(model, n), np.int32)
    except AssertionError:  # constriction's word for a state that no encoder can reach
        return None


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
    sealed = encoder.get_compressed().astype(">u4").tobytes()

    def shortened(size: int) -> bytes | None:
        """Cut the sealed value to that size, or to one unit more, if that still decodes."""
        cut = int.from_bytes(sealed[:size], "big")
        for value in (cut, cut + 1):
            if value < 1 << 8 * size:
                candidate = value.to_bytes(size, "big")
                decoded = _decode(candidate, len(symbols), model)
                if decoded is not None and np.array_equal(decoded, symbols):
                    return candidate
        return None

    # Whatever fits in n bytes fits in n + 1, so the shortest size is found by bisection.
    size = bisect.bisect_left(
        range(len(sealed)), True, key=lambda size: shortened(size) is not None
    )
    return shortened(size) or sealed[:size]


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
    if payload.endswith(b"\0") or len(payload) > 3 * n + 1 or (n == 0 and payload):
        raise FormatError(
            f"a payload of {len(payload)} bytes for {n} indices is not one that an encoder writes"
        )
    symbols = _decode(payload, n, model) if n else np.zeros(0, np.int32)
    if symbols is None:
        raise FormatError(
            f"a payload of {len(payload)} bytes for {n} indices leaves the range coder's range"
        )
    return symbols
