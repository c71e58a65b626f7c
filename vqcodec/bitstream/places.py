"""Where packets may begin in any bytes: at a header, at a known prefix, at one that was damaged.

FORMAT.md section 4A. Every search looks at all offsets at once (a regular expression, or arithmetic
on integers as long as the data), since damaged bytes have no order to go by.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

from vqcodec.bitstream.layout import (
    CODINGS,
    FORMAT_VERSION,
    PACKET_LAYOUTS,
    PREFIX_BYTES,
    STRIDES,
    TIERS,
)

MOST_PLACES: Final = 2**16
"""Places of one pattern that are looked at: a file has 256 packets; this bounds memory."""

_MOST_HEADERS: Final = 2**17
"""Offsets looked at that could begin a header; 7 MB of noise have as many."""

_CHUNK: Final = 2**20


def _one_of(values: list[int]) -> bytes:
    return b"[" + re.escape(bytes(values)) + b"]"


# All that `Header.parse` asks, for a prefix that an index and a checksum follow. The first byte
# alone is consumed, so that headers may overlap.
_HEADER = re.compile(
    _one_of([FORMAT_VERSION << 4 | tier for tier in TIERS])
    + b"(?="
    + _one_of(
        [
            stride << 7 | code << 4 | layout
            for stride in STRIDES.values()
            for code in CODINGS.values()
            for layout in range(len(PACKET_LAYOUTS))
        ]
    )
    + rb"..(?!\0\0)..(?!\0\0).{6})",
    re.DOTALL,
)


def is_header(data: bytes, offset: int) -> bool:
    """Whether a packet with a valid header could begin here."""
    return _HEADER.match(data, offset) is not None


def headers(data: bytes) -> tuple[list[bytes], dict[bytes, int]]:
    """Find prefixes without knowing any.

    Returns:
        Those that stand twice or more, most frequent first; and those that stand once, with their
        offsets. In large data only the first `_MOST_HEADERS` offsets in question are looked at.
    """
    first: dict[bytes, int] = {}
    again: Counter[bytes] = Counter()
    for match in islice(_HEADER.finditer(data), _MOST_HEADERS):
        prefix = data[match.start() : match.start() + PREFIX_BYTES]
        if first.setdefault(prefix, match.start()) != match.start():
            again[prefix] += 1
    for prefix in again:
        del first[prefix]
    return [prefix for prefix, _ in again.most_common()], first


def exact(data: bytes, pattern: bytes) -> list[int]:
    """List the offsets of a pattern, ascending, at most `MOST_PLACES`."""
    found: list[int] = []
    at = data.find(pattern)
    while at >= 0 and len(found) < MOST_PLACES:
        found.append(at)
        at = data.find(pattern, at + 1)
    return found


def near(data: bytes, pattern: bytes, bits: int) -> list[int]:
    """List the offsets where at most `bits` bits differ from a pattern, ascending.

    At most `MOST_PLACES`. Takes about 30 ns per byte.
    """
    return list(islice(_near(data, pattern, bits), MOST_PLACES))


def _near(data: bytes, pattern: bytes, bits: int) -> Iterator[int]:
    is_near = re.compile(b"[\\x00-" + re.escape(bytes([bits])) + b"]")
    overlap = len(pattern) - 1
    for begin in range(0, len(data) - overlap, _CHUNK):
        part = data[begin : begin + _CHUNK + overlap]
        # Bytes of one long integer: how many bits differ at each offset. None exceeds 64, so that
        # bytes never carry into one another.
        distances = 0
        for number, value in enumerate(pattern):
            differing = part.translate(_differing_bits(value))
            distances += int.from_bytes(differing, "little") >> 8 * number
        row = distances.to_bytes(len(part), "little")
        for match in is_near.finditer(row, 0, len(part) - overlap):
            yield begin + match.start()


@lru_cache(maxsize=256)
def _differing_bits(value: int) -> bytes:
    """How many bits of each byte differ from `value`: a table for `bytes.translate`."""
    return bytes((byte ^ value).bit_count() for byte in range(256))
