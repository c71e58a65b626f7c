"""The whole file: the magic, then packets that all begin with the same eight bytes.

Follows FORMAT.md sections 4 and 5A. Reading is in two steps: `parse` splits any bytes into packets
and says which are intact; `Container.payloads` insists that the file is whole, parity packets
included. A decoder that restores lost packets needs the first step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vqcodec.bitstream.layout import MAGIC, MAX_CODEWORD, PACKET_HEAD_BYTES, PREFIX_BYTES
from vqcodec.bitstream.packets import Header, Packet, parse_packet, write_packet
from vqcodec.errors import ChecksumError, FormatError, NotVqcError, TruncatedError


@dataclass(frozen=True)
class Container:
    """A parsed file: its header and its packets in file order, intact or not."""

    header: Header
    packets: tuple[Packet, ...]

    @property
    def n_parity(self) -> int:
        """Parity packets that the file was written with, as the first intact one says; or 0."""
        n_packets = self.header.n_packets
        for packet in self.packets:
            if packet.is_intact and packet.index >= n_packets > 1 and packet.payload:
                n_parity = packet.payload[0]
                if packet.index < n_packets + n_parity <= MAX_CODEWORD:
                    return n_parity
        return 0

    def payloads(self) -> list[bytes]:
        """Return the data packets' payloads by packet index, if every packet is there and intact.

        Raises:
            ChecksumError: a packet's bytes were changed.
            TruncatedError: a packet is missing.
            FormatError: a packet's index is too large, or stands twice, or parity packets disagree
                on their number or are not as long as the longest data packet asks.
        """
        n_packets = self.header.n_packets
        n_all = n_packets + self.n_parity
        told = f"{n_packets}+{self.n_parity}" if self.n_parity else f"{n_packets}"
        found: dict[int, Packet] = {}
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
            if packet.index >= n_all or packet.index in found:
                raise FormatError(
                    f"{place}: index {packet.index} is "
                    f"{'there twice' if packet.index in found else 'too large'} in a file of "
                    f"{told} packets; get the file again",
                    offset=packet.offset,
                    field="index",
                    found=packet.index,
                )
            found[packet.index] = packet
        if len(found) < n_all:
            missing = [str(index) for index in range(n_all) if index not in found]
            named = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
            raise TruncatedError(
                f"{len(missing)} of {told} packets missing ({named}); get the file again",
                field="packets",
            )
        payloads = [found[index].payload for index in range(n_packets)]
        size = 1 + max(map(len, payloads))
        for index in range(n_packets, n_all):
            parity = found[index].payload
            if len(parity) != size or parity[0] != self.n_parity:
                raise FormatError(
                    f"packet {index} at byte {found[index].offset}: not parity of these "
                    f"{n_packets} packets; get the file again",
                    offset=found[index].offset,
                    field="parity",
                )
        return payloads


def write(header: Header, payloads: Sequence[bytes], parity: Sequence[bytes] = ()) -> bytes:
    """Write a file.

    Args:
        header: of all packets.
        payloads: one per data packet, by packet index.
        parity: payloads of the parity packets, as `fec.protect` makes them of these `payloads`.

    Returns:
        The whole file, which `parse` reads back to exactly these payloads.

    Raises:
        ValueError: not `header.n_packets` payloads, or parity that is not theirs, or a payload that
            happens to hold the file's own prefix (one chance in 2**64 per byte), so that its end
            could not be found; another coding mode or packet count helps.
    """
    if len(payloads) != header.n_packets:
        raise ValueError(f"{len(payloads)} payloads for {header.n_packets} packets")
    if any(len(row) != 1 + max(map(len, payloads)) or row[0] != len(parity) for row in parity):
        raise ValueError(f"{len(parity)} parity payloads that were not made of these payloads")
    every = [*payloads, *parity]
    if parity and (header.n_packets == 1 or len(every) > MAX_CODEWORD):
        raise ValueError(f"{header.n_packets}+{len(parity)} packets: see FORMAT.md section 5A")
    data = MAGIC + b"".join(
        write_packet(header, index, payload) for index, payload in enumerate(every)
    )
    try:
        found = parse(data)
        is_found_again = [packet.payload for packet in found.packets] == every
        is_found_again = is_found_again and found.payloads() == list(payloads)
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
        Header and packets. Checksums are computed, not insisted on; no more packets are read than a
        file of this header can have.

    Raises:
        NotVqcError: the magic is missing.
        TruncatedError: the file ends inside the magic or a packet's head.
        VersionError: another format version.
        FormatError: a reserved value in the header, or more packets than such a file can have.
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
    most = max(header.n_packets, MAX_CODEWORD)  # with parity; how many packets say themselves
    while start < len(data):
        if len(packets) == most:
            raise FormatError(
                f"byte {start}: another packet after the {most} that a file can have; "
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
