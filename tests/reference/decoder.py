"""A second decoder, down to the index map, written from docs/FORMAT.md alone, in plain Python.

It shares no line with the package; whatever both read alike is what the document says.
"""

from __future__ import annotations

import bisect
import zlib

LAYOUTS = [
    *[(1, 0), (2, 1), (3, 1), (4, 2), (6, 2), (8, 3), (10, 3), (12, 3)],
    *[(16, 4), (20, 8), (24, 5), (32, 7), (48, 7), (64, 28), (128, 12), (256, 30)],
]


class RefusedError(Exception):
    """The file is not one that version 1 allows; the text is the error class of section 9."""


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def read_header(prefix: bytes) -> dict[str, int]:
    """Section 3."""
    if len(prefix) < 8:
        raise RefusedError("TruncatedError")
    version, tier, coding, layout = prefix[0] >> 4, prefix[0] & 15, prefix[1] >> 4, prefix[1] & 15
    width, height = number(prefix[4:6]), number(prefix[6:8])
    if version != 1:
        raise RefusedError("VersionError")
    if not 1 <= tier <= 12:
        raise RefusedError("FormatError")
    if coding > 1:
        raise RefusedError("VersionError")
    if width == 0 or height == 0:
        raise RefusedError("FormatError")
    count, step = LAYOUTS[layout]
    weights_id = number(prefix[2:4])
    return {
        **{"tier": tier, "coding": coding, "n_packets": count, "step": step},
        **{"weights_id": weights_id, "width": width, "height": height},
    }


def split(data: bytes) -> tuple[dict[str, int], list[bytes]]:
    """Section 4, strictly: header, and payloads by packet index."""
    magic = bytes.fromhex("d6565143")
    if data[:4] != magic:
        raise RefusedError("TruncatedError" if data and magic.startswith(data) else "NotVqcError")
    prefix, pieces, start = data[4:12], [], 4
    header = read_header(prefix)
    while start < len(data):
        if len(pieces) == header["n_packets"]:
            raise RefusedError("FormatError")
        end = data.find(prefix, start + 12) if header["n_packets"] > 1 else -1
        end = len(data) if end < 0 else end
        if end - start < 12:
            raise RefusedError("TruncatedError")
        pieces.append(data[start:end])
        start = end
    payloads: dict[int, bytes] = {}
    for piece in pieces:
        if zlib.crc32(piece[:9] + piece[12:]) & 0xFFFFFF != number(piece[9:12]):
            raise RefusedError("ChecksumError")
        if piece[8] >= header["n_packets"] or piece[8] in payloads:
            raise RefusedError("FormatError")
        payloads[piece[8]] = piece[12:]
    if len(payloads) < header["n_packets"]:
        raise RefusedError("TruncatedError")
    return header, [payloads[index] for index in range(header["n_packets"])]


def read_fixed(payload: bytes, n: int, size: int) -> list[int]:
    """Section 6."""
    width = (size - 1).bit_length()
    if len(payload) != (n * width + 7) >> 3:
        raise RefusedError(
            "TruncatedError" if len(payload) < (n * width + 7) >> 3 else "FormatError"
        )
    bits = "".join(f"{byte:08b}" for byte in payload)
    values = [int(bits[i * width : (i + 1) * width], 2) for i in range(n)]
    if "1" in bits[n * width :] or any(value >= size for value in values):
        raise RefusedError("FormatError")
    return values


def read_table(payload: bytes, n: int, frequencies: list[int]) -> list[int]:
    """Section 7."""
    size = len(frequencies)
    if payload.endswith(b"\0") or len(payload) > 3 * n + 1 or (n == 0 and payload):
        raise RefusedError("FormatError")
    left, below = [], 0
    for i, frequency in enumerate(frequencies):
        left.append((below * (2**24 - size) >> 16) + i)
        below += frequency
    left.append(2**24)
    position = 0

    def word() -> int:
        nonlocal position
        position += 4
        return number(payload[position - 4 : position].ljust(4, b"\0"))

    code, values = word() << 32, []
    code |= word()
    spread = 2**64 - 1
    for _ in range(n):
        scale = spread >> 24
        quantile = code // scale
        if quantile >= 2**24:
            raise RefusedError("FormatError")
        value = bisect.bisect_right(left, quantile) - 1
        code -= scale * left[value]
        spread = scale * (left[value + 1] - left[value])
        if spread < 2**32:
            code = (code << 32 | word()) & (2**64 - 1)
            spread <<= 32
        values.append(value)
    return values


def decode(data: bytes, tables: dict[int, list[int]]) -> tuple[dict[str, int], list[list[int]]]:
    """Header and index map of a file; `tables` holds the frequencies by tier."""
    header, payloads = split(data)
    columns, rows = (header["width"] + 15) >> 4, (header["height"] + 15) >> 4
    table = tables[header["tier"]]
    index_map = [[-1] * columns for _ in range(rows)]
    for packet, payload in enumerate(payloads):
        places = [
            (r, c)
            for r in range(rows)
            for c in range(columns)
            if (c + header["step"] * r) % header["n_packets"] == packet
        ]
        if header["coding"] == 0:
            values = read_fixed(payload, len(places), 2 ** (header["tier"] + 2))
        else:
            values = read_table(payload, len(places), table)
        for (r, c), value in zip(places, values, strict=True):
            index_map[r][c] = value
    return header, index_map
