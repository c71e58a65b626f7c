"""A second decoder, down to the index map, written from docs/FORMAT.md alone, in plain Python.

It shares no line with the package; whatever both read alike is what the document says. numpy
multiplies matrices of 64-bit integers here, nothing else.
"""

from __future__ import annotations

import bisect
import zlib
from fractions import Fraction

import numpy as np

from tests.reference.parity import rebuild

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
    version, tier = prefix[0] >> 4, prefix[0] & 15
    stride, coding, layout = (16, 8)[prefix[1] >> 7], prefix[1] >> 4 & 7, prefix[1] & 15
    width, height = number(prefix[4:6]), number(prefix[6:8])
    if version != 1:
        raise RefusedError("VersionError")
    if not 1 <= tier <= 12:
        raise RefusedError("FormatError")
    if coding > 2:
        raise RefusedError("VersionError")
    if width == 0 or height == 0:
        raise RefusedError("FormatError")
    count, step = LAYOUTS[layout]
    weights_id = number(prefix[2:4])
    return {
        **{"tier": tier, "coding": coding, "n_packets": count, "step": step},
        **{"weights_id": weights_id, "width": width, "height": height, "stride": stride},
    }


def pieces_of(data: bytes) -> tuple[dict[str, int], list[bytes]]:
    """Section 4: header, and packets as they stand in the file."""
    magic = bytes.fromhex("d6565143")
    if data[:4] != magic:
        raise RefusedError("TruncatedError" if data and magic.startswith(data) else "NotVqcError")
    prefix, pieces, start = data[4:12], [], 4
    header = read_header(prefix)
    while start < len(data):
        if len(pieces) == max(255, header["n_packets"]):
            raise RefusedError("FormatError")
        end = data.find(prefix, start + 12) if header["n_packets"] > 1 else -1
        end = len(data) if end < 0 else end
        if end - start < 12:
            raise RefusedError("TruncatedError")
        pieces.append(data[start:end])
        start = end
    return header, pieces


def is_intact(piece: bytes) -> bool:
    """Section 3."""
    return zlib.crc32(piece[:9] + piece[12:]) & 0xFFFFFF == number(piece[9:12])


def split(data: bytes) -> tuple[dict[str, int], list[bytes]]:
    """Section 4, strictly: header, and data payloads by packet index."""
    header, pieces = pieces_of(data)
    count = header["n_packets"]
    if not all(is_intact(piece) for piece in pieces):
        raise RefusedError("ChecksumError")
    parity = [piece for piece in pieces if piece[8] >= count > 1]
    several = {(piece[12:13], len(piece)) for piece in parity}
    more = parity[0][12] if parity and parity[0][12:] else 0
    if len(several) > 1 or len({piece[8] for piece in pieces}) < len(pieces):
        raise RefusedError("FormatError")
    if (more and count + more > 255) or any(piece[8] >= count + more for piece in pieces):
        raise RefusedError("FormatError")
    if len(pieces) < count + more:
        raise RefusedError("TruncatedError")
    payloads = {piece[8]: piece[12:] for piece in pieces}
    whole = [payloads[index] for index in range(count)]
    if parity and len(parity[0]) != 13 + max(map(len, whole)):
        raise RefusedError("FormatError")
    return header, whole


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


class Coder:
    """Section 7.2."""

    def __init__(self, payload: bytes, n: int) -> None:
        if payload.endswith(b"\0") or len(payload) > 3 * n + 1 or (n == 0 and payload):
            raise RefusedError("FormatError")
        self.payload, self.position, self.spread = payload, 0, 2**64 - 1
        self.code = self.word() << 32
        self.code |= self.word()

    def word(self) -> int:
        self.position += 4
        return number(self.payload[self.position - 4 : self.position].ljust(4, b"\0"))

    def next(self, left: list[int]) -> int:
        """The index whose cell holds the quantile; -1 below all, len(left) - 1 above."""
        scale = self.spread >> 24
        quantile = self.code // scale
        if quantile >= 2**24:
            raise RefusedError("FormatError")
        value = bisect.bisect_right(left, quantile) - 1
        if not 0 <= value < len(left) - 1:
            raise RefusedError("FormatError")
        self.code -= scale * left[value]
        self.spread = scale * (left[value + 1] - left[value])
        if self.spread < 2**32:
            self.code = (self.code << 32 | self.word()) & (2**64 - 1)
            self.spread <<= 32
        return value


def read_table(payload: bytes, n: int, frequencies: list[int]) -> list[int]:
    """Section 7."""
    size = len(frequencies)
    left, below = [], 0
    for i, frequency in enumerate(frequencies):
        left.append((below * (2**24 - size) >> 16) + i)
        below += frequency
    left.append(2**24)
    coder = Coder(payload, n)
    return [coder.next(left) for _ in range(n)]


def root_32_of_power_of_2(exponent: int) -> int:
    """floor(2^(exponent / 32)) by bisection, exactly."""
    low, high = 0, 2**18
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**32 <= 2**exponent else (low, middle)
    return low


EXP = [(root_32_of_power_of_2(544 - e) + 1) // 2 if e <= 544 else 0 for e in range(576)]


class Network:
    """Section 7A.2 to 7A.4: tensors by key, without the part `context.`, for one tier."""

    def __init__(self, tensors: dict[str, np.ndarray], codewords: np.ndarray, tier: int) -> None:
        self.wide = {key: np.asarray(value).astype(np.int64) for key, value in tensors.items()}
        self.tier = tier
        steps = [[Fraction(float(value)) * 32 for value in row] for row in codewords]
        words = [[min(max(round(value), -127), 127) for value in row] for row in steps]
        self.size = len(words)
        self.embedding = np.array(words + self.wide["special"].tolist(), np.int64)
        self.keys = np.concatenate([np.array(words), self.wide[f"{tier}.learned"]], axis=1)
        self.offsets = self.wide["offsets"].tolist()

    def left(self, neighbours: list[int]) -> list[int]:
        """Left ends of all cells, and the right end of the last."""
        wide, shifts = self.wide, self.wide["shifts"].tolist()

        def scaled(sums: np.ndarray, shift: int, low: int, high: int) -> np.ndarray:
            return np.clip(sums + (1 << shift - 1) >> shift, low, high)

        x = np.concatenate([self.embedding[neighbour] for neighbour in neighbours])
        h = scaled(x @ wide["first.weight"] + wide[f"{self.tier}.bias"], shifts[0], 0, 255)
        for number in range(len(shifts) - 2):
            more = h @ wide[f"block.{number}.weight"] + wide[f"block.{number}.bias"]
            h = np.minimum(255, h + scaled(more, shifts[1 + number], 0, 255))
        u = scaled(h @ wide["neck.weight"] + wide["neck.bias"], shifts[-1], -127, 127)
        z = (self.keys @ u + wide[f"{self.tier}.logit_bias"]).tolist()
        f = [EXP[min(max(z) - value >> 4, 575)] for value in z]
        ratio = (2**24 - self.size - 2 << 20) // sum(f)
        left = [1]
        for value in f:
            left.append(left[-1] + 1 + (value * ratio >> 20))
        return left


def read_context(
    payload: bytes, places: list[tuple[int, int]], shape: tuple[int, int], network: Network
) -> list[int]:
    """Section 7A, position by position."""
    coder, mine = Coder(payload, len(places)), set(places)
    known: dict[tuple[int, int], int] = {}
    for r, c in sorted(places, key=lambda place: (place[1] + 2 * place[0], place[0])):
        neighbours = []
        for dy, dx in network.offsets:
            place = (r + dy, c + dx)
            if not (0 <= place[0] < shape[0] and 0 <= place[1] < shape[1]):
                neighbours.append(network.size + 1)
            else:
                neighbours.append(known[place] if place in mine else network.size)
        known[r, c] = coder.next(network.left(neighbours))
    return [known[place] for place in places]


def map_size(header: dict[str, int]) -> tuple[int, int]:
    """Section 2: columns and rows of the index map."""
    if header["stride"] == 8:
        return (header["width"] + 7) >> 3, (header["height"] + 7) >> 3
    return (header["width"] + 15) >> 4, (header["height"] + 15) >> 4


def places_of(header: dict[str, int], packet: int) -> list[tuple[int, int]]:
    """Section 5."""
    columns, rows = map_size(header)
    high, wide = (2, 4) if header["coding"] == 2 else (1, 1)
    return [
        (r, c)
        for r in range(rows)
        for c in range(columns)
        if (c // wide + header["step"] * (r // high)) % header["n_packets"] == packet
    ]


def decode(
    data: bytes,
    tables: dict[int, list[int]],
    networks: dict[int, Network] | None = None,
    *,
    stride: int | None = None,
    is_lossy: bool = False,
) -> tuple[dict[str, int], list[list[int]]]:
    """Header and index map of a file; `tables` holds frequencies by tier, `networks` likewise.

    `stride` is the pack's, None if it is not known; the file's must be the same.
    `is_lossy` goes on where packets are damaged or missing: rebuilt where that can be, else -1.
    """
    if is_lossy:
        header, pieces = pieces_of(data)
        given = {piece[8]: piece[12:] for piece in pieces if is_intact(piece)}
        counts = [len(places_of(header, index)) for index in range(header["n_packets"])]
        bits = header["tier"] + 2
        sizes = [(n * bits + 7) >> 3 if header["coding"] == 0 else 3 * n + (n > 0) for n in counts]
        payloads = rebuild(header, given, sizes)
    else:
        header, whole = split(data)
        payloads = dict(enumerate(whole))
    if stride not in (None, header["stride"]):
        raise RefusedError("FormatError")
    columns, rows = map_size(header)
    index_map = [[-1] * columns for _ in range(rows)]
    for packet, payload in payloads.items():
        places = places_of(header, packet)
        if header["coding"] == 0:
            values = read_fixed(payload, len(places), 2 ** (header["tier"] + 2))
        elif header["coding"] == 1:
            values = read_table(payload, len(places), tables[header["tier"]])
        else:
            values = read_context(payload, places, (rows, columns), networks[header["tier"]])
        for (r, c), value in zip(places, values, strict=True):
            index_map[r][c] = value
    return header, index_map
