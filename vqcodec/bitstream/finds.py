"""What a search has found under one prefix, and what the prefix says of packets' sizes.

FORMAT.md sections 4A, 5 and 5A.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vqcodec.bitstream.layout import MAX_CODEWORD
from vqcodec.bitstream.packets import Header, Packet

COUNT_WORK: Final = 1024
"""Work, as `search` counts it, of counting one packet's positions, per packet of the file."""


@dataclass
class Find:
    """What was found under one prefix.

    Attributes:
        prefix: as it stands in each packet.
        room: bytes of the data; no payload is longer.
        header: the same, read.
        packets: the first intact packet of each index.
        spans: first byte and end of every intact packet, duplicates included, ascending.
        damaged: where the prefix, exact or nearly, is followed by no intact packet.
        uncertain: indices of packets whose length was found by trying.
    """

    prefix: bytes
    room: int
    header: Header = field(init=False)
    packets: dict[int, Packet] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    uncertain: set[int] = field(default_factory=set)
    _is_large: bool = field(init=False)
    _counts: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the prefix, of which `places.is_header` is true."""
        self.header = header = Header.parse(self.prefix, 0)
        # The data ends before a payload must: to know that, no positions are counted.
        self._is_large = header.coding != "fixed" and 3 * least_indices(header) >= self.room

    def num_indices(self, index: int) -> int:
        """Count as the header does; that takes a while, so every answer is kept."""
        if index not in self._counts:
            self._counts[index] = self.header.num_indices(index)
        return self._counts[index]

    def counting(self, index: int) -> int:
        """Work that `num_indices` has yet to do for a packet; none for parity, which has none."""
        n_packets = self.header.n_packets
        return 0 if index in self._counts or index >= n_packets else COUNT_WORK * n_packets

    def sizing(self, index: int) -> int:
        """Work that `sizes` has yet to do for a packet."""
        n_packets = self.header.n_packets
        if self._is_large:
            return 0
        return sum(map(self.counting, [index] if index < n_packets else range(n_packets)))

    def score(self) -> tuple[int, int, int]:
        """Positions of the map that are there, then packets, then how early they are."""
        data = [index for index in self.packets if index < self.header.n_packets]
        first = self.spans[0][0] if self.spans else 0
        return sum(map(self.num_indices, data)), len(self.packets), -first

    def sizes(self, index: int) -> range:
        """Bytes that the payload of a packet may have; none if no packet has this index."""
        is_fixed, n_packets = self.header.coding == "fixed", self.header.n_packets
        if index < n_packets:
            if self._is_large:
                return range(self.room + 1)
            n = self.num_indices(index)
            most = self._fixed_bytes(n) if is_fixed else 3 * n + 1 if n else 0
            return range(most if is_fixed else 0, most + 1)
        if n_packets == 1 or index >= MAX_CODEWORD:
            return range(0)
        if self._is_large:
            return range(1, self.room + 1)
        n = max(map(self.num_indices, range(n_packets)))
        most = 1 + (self._fixed_bytes(n) if is_fixed else 3 * n + 1)
        return range(most if is_fixed else 1, most + 1)

    def may_be(self, index: int, payload: memoryview) -> bool:
        """Whether an encoder can have written a payload of this size, as far as bytes tell."""
        if index >= self.header.n_packets:
            return index < self.header.n_packets + payload[0] <= MAX_CODEWORD
        return self.header.coding == "fixed" or not payload or payload[-1] != 0

    def _fixed_bytes(self, n: int) -> int:
        return (n * (self.header.codebook_size - 1).bit_length() + 7) >> 3


def least_indices(header: Header) -> int:
    """Positions that each data packet has at least; counting them takes longer."""
    columns = header.block[1]
    return header.map_height * columns * (header.map_width // (columns * header.n_packets))
