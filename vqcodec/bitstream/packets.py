"""One packet: the `Header` that all packets of a file repeat, its index, checksum and payload.

Follows FORMAT.md sections 3 to 5. Every packet can be decoded when all other bytes of the file are
lost.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache

from vqcodec.bitstream.layout import (
    CHECKSUM_BYTES,
    CODINGS,
    CONTEXT_BLOCK,
    FORMAT_VERSION,
    MAX_SIDE,
    PACKET_HEAD_BYTES,
    PACKET_LAYOUTS,
    PREFIX_BYTES,
    STRIDES,
    TIERS,
)
from vqcodec.errors import FormatError, LimitError, TruncatedError, VersionError

_PREFIX = struct.Struct(">BBHHH")
_CODING_OF_ID = {number: name for name, number in CODINGS.items()}
_STRIDE_OF_ID = {number: stride for stride, number in STRIDES.items()}
_LAYOUT_OF_COUNT = {count: number for number, (count, _) in enumerate(PACKET_LAYOUTS)}


@lru_cache(maxsize=64)
def _alike(length: int, block: int, n_packets: int) -> tuple[int, ...]:
    """Of `length` lines, count those whose block has each number modulo P."""
    periods, rest = divmod(length, block * n_packets)
    return tuple(
        periods * block + min(max(rest - turn * block, 0), block) for turn in range(n_packets)
    )


@dataclass(frozen=True)
class Header:
    """What every packet of a file says.

    Attributes:
        tier: 1 to 12.
        coding: "fixed", "table" or "context".
        n_packets: data packets of the file, one of the counts in `PACKET_LAYOUTS`.
        weights_id: first two bytes of the model pack's digest, big-endian.
        width: of the image in pixels, 1 to 65535.
        height: of the image in pixels, 1 to 65535.
        stride: pixels per index along each axis, 16 or 8.

    Raises:
        ValueError: a field is outside its range.
    """

    tier: int
    coding: str
    n_packets: int
    weights_id: int
    width: int
    height: int
    stride: int = 16

    def __post_init__(self) -> None:
        """Refuse fields that the format cannot carry."""
        if self.tier not in TIERS:
            raise ValueError(f"tier {self.tier} is not one of {min(TIERS)} to {max(TIERS)}")
        if self.coding not in CODINGS:
            raise ValueError(f"coding '{self.coding}' is not one of {', '.join(CODINGS)}")
        if self.n_packets not in _LAYOUT_OF_COUNT:
            counts = ", ".join(str(count) for count in _LAYOUT_OF_COUNT)
            raise ValueError(f"{self.n_packets} packets: the format has {counts}")
        if not 0 <= self.weights_id <= 0xFFFF:
            raise ValueError(f"weights id {self.weights_id} does not fit 16 bits")
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise ValueError(f"size {self.width}x{self.height} is not within 1 to {MAX_SIDE}")
        if self.stride not in STRIDES:
            raise ValueError(f"stride {self.stride} is not one of {', '.join(map(str, STRIDES))}")

    @property
    def codebook_size(self) -> int:
        """Codewords of the tier's codebook."""
        return TIERS[self.tier]

    @property
    def map_height(self) -> int:
        """Rows of the index map."""
        return -(-self.height // self.stride)

    @property
    def map_width(self) -> int:
        """Columns of the index map."""
        return -(-self.width // self.stride)

    @property
    def row_step(self) -> int:
        """Step s of the dealing rule, see `PACKET_LAYOUTS`."""
        return PACKET_LAYOUTS[_LAYOUT_OF_COUNT[self.n_packets]][1]

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of the index map that travel together."""
        return CONTEXT_BLOCK if self.coding == "context" else (1, 1)

    def num_indices(self, index: int) -> int:
        """Count the positions of the index map that travel in data packet `index`."""
        rows, columns = self.block
        by_column, step = _alike(self.map_width, columns, self.n_packets), self.row_step
        return sum(
            n * by_column[(index - step * turn) % self.n_packets]
            for turn, n in enumerate(_alike(self.map_height, rows, self.n_packets))
            if n
        )

    def check_pixels(self, max_pixels: int) -> None:
        """Refuse, with a LimitError, a picture that is larger than its user takes."""
        if self.width * self.height > max_pixels:
            raise LimitError(
                f"{self.width}x{self.height} is more than {max_pixels:,} pixels; "
                "raise the limit with --max-pixels if you trust the file",
                expected=max_pixels,
                found=self.width * self.height,
            )

    def check_stride(self, stride: int, pack: str) -> None:
        """Refuse, with a FormatError, a file of another stride than its model pack's."""
        if self.stride != stride:
            raise FormatError(
                f"the file has stride {self.stride}, model pack '{pack}' of its weights id has "
                f"{stride}; get the file again, or give its own pack with --model",
                field="stride",
                expected=stride,
                found=self.stride,
            )

    def write(self) -> bytes:
        """Return the prefix, 8 bytes."""
        return _PREFIX.pack(
            FORMAT_VERSION << 4 | self.tier,
            STRIDES[self.stride] << 7
            | CODINGS[self.coding] << 4
            | _LAYOUT_OF_COUNT[self.n_packets],
            self.weights_id,
            self.width,
            self.height,
        )

    @classmethod
    def parse(cls, prefix: bytes, offset: int) -> Header:
        """Read a prefix.

        Args:
            prefix: 8 bytes.
            offset: where they stand in the file, for messages.

        Raises:
            TruncatedError: fewer than 8 bytes are left.
            VersionError: another format version, or a coding of a later one.
            FormatError: a reserved tier, or a width or height of 0.
        """
        if len(prefix) < PREFIX_BYTES:
            raise TruncatedError(
                f"the file ends at byte {offset + len(prefix)}, inside its header; get it again",
                offset=offset + len(prefix),
            )
        first, second, weights_id, width, height = _PREFIX.unpack(prefix)
        version, tier = first >> 4, first & 15
        stride_id, coding_id, layout = second >> 7, second >> 4 & 7, second & 15
        if version != FORMAT_VERSION:
            raise VersionError(
                f"format version {version} at byte {offset}: this program reads version "
                f"{FORMAT_VERSION}; update vqcodec, or get the file again if it should be readable",
                offset=offset,
                field="version",
                expected=FORMAT_VERSION,
                found=version,
            )
        if tier not in TIERS:
            raise FormatError(
                f"tier {tier} at byte {offset} is reserved; update vqcodec, or get the file again",
                offset=offset,
                field="tier",
                found=tier,
            )
        if coding_id not in _CODING_OF_ID:
            raise VersionError(
                f"coding mode {coding_id} at byte {offset + 1} is unknown to this program; "
                "update vqcodec, or get the file again",
                offset=offset + 1,
                field="coding",
                found=coding_id,
            )
        if width == 0 or height == 0:
            raise FormatError(
                f"size {width}x{height} at byte {offset + 4} is not an image's; get the file again",
                offset=offset + 4,
                field="width" if width == 0 else "height",
                found=0,
            )
        return cls(
            tier,
            _CODING_OF_ID[coding_id],
            PACKET_LAYOUTS[layout][0],
            weights_id,
            width,
            height,
            _STRIDE_OF_ID[stride_id],
        )


@dataclass(frozen=True)
class Packet:
    """One packet as it stands in a file.

    Attributes:
        index: its number, 0 to 255, parity packets after data packets; not yet checked against the
            header.
        offset: of its first byte in the file.
        payload: what the coder wrote, or parity.
        stored_checksum: as the packet says.
        checksum: of its bytes as they are.
    """

    index: int
    offset: int
    payload: bytes
    stored_checksum: int
    checksum: int

    @property
    def is_intact(self) -> bool:
        """Whether the stored checksum is that of the bytes."""
        return self.checksum == self.stored_checksum

    @property
    def size_bytes(self) -> int:
        """Whole size, head and payload."""
        return PACKET_HEAD_BYTES + len(self.payload)


def checksum(prefix: bytes, index: int, payload: bytes) -> int:
    """Return the low 24 bits of CRC-32 (as in zlib and PNG) over prefix, index and payload."""
    return zlib.crc32(payload, zlib.crc32(bytes([index]), zlib.crc32(prefix))) & 0xFFFFFF


def write_packet(header: Header, index: int, payload: bytes) -> bytes:
    """Return one packet: prefix, index, checksum, payload."""
    prefix = header.write()
    check = checksum(prefix, index, payload).to_bytes(CHECKSUM_BYTES, "big")
    return prefix + bytes([index]) + check + payload


def parse_packet(data: bytes, offset: int) -> Packet:
    """Read one packet that takes all of `data`.

    Args:
        data: from the prefix to the last byte of the payload.
        offset: where it stands in the file.

    Raises:
        TruncatedError: fewer bytes than a packet's head.
    """
    if len(data) < PACKET_HEAD_BYTES:
        raise TruncatedError(
            f"the file ends at byte {offset + len(data)}, inside a packet's head; get it again",
            offset=offset + len(data),
        )
    prefix, index = data[:PREFIX_BYTES], data[PREFIX_BYTES]
    payload = data[PACKET_HEAD_BYTES:]
    stored = int.from_bytes(data[PREFIX_BYTES + 1 : PACKET_HEAD_BYTES], "big")
    return Packet(index, offset, payload, stored, checksum(prefix, index, payload))
