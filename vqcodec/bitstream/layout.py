"""Every constant of the file format, version 1, mirrored in FORMAT.md by a test.

Identifiers are given once and never change their meaning.
"""

from __future__ import annotations

from typing import Final

MAGIC: Final = b"\xd6VQC"
"""First four bytes of a file; the first is not ASCII, so that a text transfer shows."""

FORMAT_VERSION: Final = 1
PREFIX_BYTES: Final = 8
"""Bytes that every packet of a file repeats: version to height."""

CHECKSUM_BYTES: Final = 3
PACKET_HEAD_BYTES: Final = PREFIX_BYTES + 1 + CHECKSUM_BYTES
"""Bytes of a packet before its payload: prefix, packet index, checksum."""

STRIDES: Final[dict[int, int]] = {16: 0, 8: 1}
"""Pixels per index along each axis -> id."""

MAX_SIDE: Final = 65535
MAX_PIXELS: Final = 2**28
"""Pixels that a decoder takes unless its user raises the limit (libavif's default, too)."""

TIERS: Final[dict[int, int]] = {tier: 2 ** (tier + 2) for tier in range(1, 13)}
"""Tier id -> codebook size; a model pack holds some of them."""

CODINGS: Final[dict[str, int]] = {"fixed": 0, "table": 1, "context": 2}
"""Coding mode -> id."""

CONTEXT_BLOCK: Final = (2, 4)
"""Rows and columns of the index map that travel together in coding mode "context", so that a packet
holds neighbours to predict from; the other modes deal single positions."""

FREQUENCY_BITS: Final = 16
"""A static frequency table sums to 2**FREQUENCY_BITS."""

MAX_CODEWORD: Final = 255
"""Data and parity packets of a file that has parity packets: a codeword over GF(256)."""

PACKET_LAYOUTS: Final[tuple[tuple[int, int], ...]] = (
    (1, 0),
    (2, 1),
    (3, 1),
    (4, 2),
    (6, 2),
    (8, 3),
    (10, 3),
    (12, 3),
    (16, 4),
    (20, 8),
    (24, 5),
    (32, 7),
    (48, 7),
    (64, 28),
    (128, 12),
    (256, 30),
)
"""Packet layout id -> (number of packets P, row step s): position (row, column) travels in packet
(column + s * row) mod P. For each P, s is the smallest step for which two positions of one packet
lie as far apart as this rule allows, so that a lost packet leaves scattered holes with received
neighbours."""
