"""The whole file: the magic, then packets that all begin with the same eight bytes.

Follows FORMAT.md section 4. Reading is in two steps: `parse` splits any bytes into packets and says
which are intact; `Container.payloads` insists that the file is whole. A decoder that restores lost
packets needs the first step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vqcodec.bitstream.layout import MAGIC, PACKET_HEAD_BYTES, PREFIX_BYTES
from vqcodec.bitstream.packets import Header, Packet, parse_packet, write_packet
from vqcodec.errors import ChecksumError, FormatError, NotVqcError, TruncatedError


@dataclass(frozen=True)
class Container:
    """A parsed file: its header and its packets in file order, intact or not."""

    header: Header
    packets: tuple[Packet, ...]

    def payloads(self) -> list[bytes]:
        """Return the payloads by packet index, if every packet is there once and intact.

        Raises:
            ChecksumError: a packet's bytes were changed.
            TruncatedError: a packet is missing.
            FormatError: a packet's index is too large, or stands twice.
        """
        found: dict[int, bytes] = {}
        for number, packet in enumerate(self.packets):
            place = f"packet {number} at byte {packet.offset}"
            if not packet.is_intact:
                raise ChecksumError(
                    f"{place}: checksum {packet.checksum:06x}, "
                    f"stored {packet.stored_checksum:06x}; the file is damaged, get it again",
                    offset=packet.offset,
                    expected=packet.stored_checksum,
                    found=packet.checksum,
                )
            if packet.index >= self.header.n_packets or packet.index in found:
                raise FormatError(
                    f"{place}: index {packet.index} is "
                    f"{'there twice' if packet.index in found else 'too large'} in a file of "
                    f"{self.header.n_packets} packets; get the file again",
                    offset=packet.offset,
                    field="index",
                    found=packet.index,
                )
            found[packet.index] = packet.payload
        if len(found) < self.header.n_packets:
            missing = [str(index) for index in range(self.header.n_packets) if index not in found]
            named = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
            raise TruncatedError(
                f"{len(missing)} of {self.header.n_packets} packets missing ({named}); "
                "get the file again",
                field="packets",
            )
        return [found[index] for index in range(self.header.n_packets)]


def write(header: Header, payloads: Sequence[bytes]) -> bytes:
    """Write a file.

    Args:
        header: of all packets.
        payloads: one per packet, by packet index.

    Returns:
        The whole file, which `parse` reads back to exactly these payloads.

    Raises:
        ValueError: not `header.n_packets` payloads, or a payload that happens to hold the file's
            own prefix (one chance in 2**64 per byte), so that its end could not be found; another
            coding mode or packet count helps.
    """
    if len(payloads) != header.n_packets:
        raise ValueError(f"{len(payloads)} payloads for {header.n_packets} packets")
    data = MAGIC + b"".join(
        write_packet(header, index, payload) for index, payload in enumerate(payloads)
    )
    try:
        is_found_again = parse(data).payloads() == list(payloads)
    except FormatError:
        is_found_again = False
    if not is_found_again:
        raise ValueError(
            "a payload holds the prefix of its own file; choose another coding or packet count"
        )
    return data


def parse(data: bytes) -> Container:
    """Split a file into packets.

    Args:
        data: any bytes.

    Returns:
        Header and packets. Checksums are computed, not insisted on; at most `n_packets` packets
        are read.

    Raises:
        NotVqcError: the magic is missing.
        TruncatedError: the file ends inside the magic or a packet's head.
        VersionError: another format version.
        FormatError: a reserved value in the header, or more packets than it announces.
    """
    if not data.startswith(MAGIC):
        if data and MAGIC.startswith(data):
            raise TruncatedError(
                f"the file ends at byte {len(data)}, inside its magic; get it again",
                offset=len(data),
            )
        raise NotVqcError("not a .vqc file: it does not begin with the bytes d6 56 51 43", offset=0)
    start = len(MAGIC)
    prefix = data[start : start + PREFIX_BYTES]
    header = Header.parse(prefix, start)
    packets: list[Packet] = []
    while start < len(data):
        if len(packets) == header.n_packets:
            raise FormatError(
                f"byte {start}: another packet after the {header.n_packets} announced; "
                "get the file again",
                offset=start,
                field="packets",
            )
        end = -1
        if header.n_packets > 1:
            end = data.find(prefix, start + PACKET_HEAD_BYTES)
        end = len(data) if end < 0 else end
        packets.append(parse_packet(data[start:end], start))
        start = end
    return Container(header, tuple(packets))
