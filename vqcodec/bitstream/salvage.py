"""The intact packets of the file that any bytes hold: damaged, cut, shuffled, amid other bytes.

FORMAT.md section 4A. What was found, and the answer to bytes in which nothing is; the search itself
is in `search`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from vqcodec.bitstream import container
from vqcodec.bitstream.finds import Find
from vqcodec.bitstream.layout import CHECKSUM_BYTES, MAGIC, PACKET_HEAD_BYTES, PREFIX_BYTES
from vqcodec.bitstream.packets import Header, Packet, checksum
from vqcodec.bitstream.search import Search
from vqcodec.errors import ChecksumError, FormatError, NotVqcError


@dataclass(frozen=True)
class Salvage:
    """What was found of a file.

    Attributes:
        header: of the file.
        packets: intact packets in the order of the data, one per index, parity packets included.
        damaged: what stands where the prefix, exact or nearly, is followed by no intact packet;
            index and payload of these are not to be trusted.
        uncertain: indices of packets whose end no prefix marks, but a checksum that came out right
            among many lengths tried. Such a payload is wrong with a chance of n / 2**24 for n
            lengths and must be confirmed, see `payload.decode_index_map`.
        n_duplicates: further intact packets of indices that are there.
        n_foreign_bytes: bytes that belong to no packet, intact or damaged, and to no magic.
    """

    header: Header
    packets: tuple[Packet, ...]
    damaged: tuple[Packet, ...]
    uncertain: frozenset[int]
    n_duplicates: int
    n_foreign_bytes: int

    @property
    def payloads(self) -> dict[int, bytes]:
        """Payloads of the intact packets by packet index, parity packets included."""
        return {packet.index: packet.payload for packet in self.packets}

    @property
    def n_damaged(self) -> int:
        """Places at which there is a packet, but no intact one."""
        return len(self.damaged)


def salvage(data: bytes) -> Salvage:
    """Find the intact packets of the file that `data` holds.

    Of several files, that whose intact packets carry the most positions of its index map. Packets
    of files with the same prefix cannot be told apart: the first one of an index is taken.

    Args:
        data: any bytes.

    Returns:
        At least one intact packet, and what is known of the rest.

    Raises:
        ChecksumError: there are packets, but no intact one.
        NotVqcError: there is nothing like a packet.
        FormatError: as `container.parse` has it where that says more.
    """
    search = Search(data)
    best = search.best()
    if best is None:
        raise _refusal(data, search.n_leads)
    damaged = _damaged(data, best, search.magics)
    covered = [*best.spans, *((bad.offset, bad.offset + bad.size_bytes) for bad in damaged)]
    starts = {start for start, _ in covered}
    heads = [magic for magic in search.magics if magic + len(MAGIC) in starts]
    covered += [(magic, magic + len(MAGIC)) for magic in heads]
    return Salvage(
        best.header,
        tuple(sorted(best.packets.values(), key=lambda packet: packet.offset)),
        damaged,
        frozenset(best.uncertain),
        len(best.spans) - len(best.packets),
        len(data) - _union(covered),
    )


def _union(spans: list[tuple[int, int]]) -> int:
    """Count the bytes that lie in any of the spans."""
    total, until = 0, 0
    for start, end in sorted(spans):
        total += max(end - max(start, until), 0)
        until = max(until, end)
    return total


def _damaged(data: bytes, find: Find, magics: list[int]) -> tuple[Packet, ...]:
    """Cut out what stands at the places without an intact packet, as far as each may reach."""
    starts = (start for start, _ in find.spans)
    borders = sorted({*starts, *find.damaged, *magics, len(data)})
    following = dict(itertools.pairwise(borders))
    packets = []
    for start in find.damaged:
        body, index = start + PACKET_HEAD_BYTES, data[start + PREFIX_BYTES]
        sizes = find.sizes(index)
        end = min(following[start], body + (sizes[-1] if sizes else 0))
        if end >= body:
            stored = int.from_bytes(data[body - CHECKSUM_BYTES : body], "big")
            payload = data[body:end]
            found = checksum(data[start : start + PREFIX_BYTES], index, payload)
            packets.append(Packet(index, start, payload, stored, found))
    return tuple(packets)


def _refusal(data: bytes, n_leads: int) -> FormatError:
    """Say why there is nothing."""
    try:
        container.parse(data).payloads()
    except ChecksumError as error:
        return error
    except NotVqcError as error:
        if not n_leads:
            return error
    except FormatError as error:
        if error.details.get("field") not in ("packets", "index"):
            return error
    return ChecksumError("the file holds packets, but none is intact; get it again")
