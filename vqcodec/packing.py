"""How many packets a file has: a given number, or the fewest that are small enough; and parity.

Comes before any network. Fixed coding's sizes hang on width, height and tier alone, so most of what
is asked here is answered without making a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC, MAX_CODEWORD, PACKET_HEAD_BYTES, PACKET_LAYOUTS
from vqcodec.bitstream.packets import Header
from vqcodec.entropy import fixedlength
from vqcodec.errors import FileError, TargetError

COUNTS = tuple(count for count, _ in PACKET_LAYOUTS)
MAX_FEC = 4.0


@dataclass(frozen=True)
class Packing:
    """What was asked for.

    Attributes:
        n_packets: data packets, one of `COUNTS`.
        mtu: in its place, bytes that a packet has at most, head and payload.
        fec: parity packets as a share of the data packets, up to `MAX_FEC`; 0 for none.

    Raises:
        ValueError: a field is outside its range, or they do not go together.
    """

    n_packets: int = 1
    mtu: int | None = None
    fec: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no file can have."""
        if self.n_packets not in COUNTS:
            raise ValueError(f"{self.n_packets} packets: the format has {_listed(COUNTS)}")
        if self.mtu is not None and self.n_packets != 1:
            raise ValueError("n_packets and mtu both choose the number of packets; give one")
        if self.mtu is not None and not self.mtu > PACKET_HEAD_BYTES:
            raise ValueError(f"mtu is {self.mtu}; a packet has {PACKET_HEAD_BYTES} bytes of head")
        if not 0 <= self.fec <= MAX_FEC:  # not a number fails, too
            raise ValueError(f"fec is {self.fec}; the share of parity is 0, or up to {MAX_FEC:g}")
        if not self.counts:
            n_parity = self.n_parity(self.n_packets)
            raise ValueError(
                f"{self.n_packets}+{n_parity} packets: parity takes 2 data packets or more, and "
                f"at most {MAX_CODEWORD} packets in all"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """Numbers of data packets that may be taken, ascending."""
        counts = (self.n_packets,) if self.mtu is None else COUNTS
        if not self.fec:
            return counts
        return tuple(n for n in counts if n > 1 and n + self.n_parity(n) <= MAX_CODEWORD)

    def n_parity(self, n_packets: int) -> int:
        """Count the parity packets that go with so many data packets."""
        # Not one more for a share such as .55, which floats hold a little too large.
        return max(1, math.ceil(self.fec * n_packets - 1e-9)) if self.fec else 0

    def at_most(self, header: Header) -> float:
        """Size of the whole file in fixed coding, infinite where no number of packets will do.

        Args:
            header: any of the file; its number of packets and coding do not count.
        """
        for count in self.counts:
            sizes = self._fixed_sizes(header, count)
            if self.mtu is None or max(sizes) <= self.mtu:
                return len(MAGIC) + sum(sizes)
        return math.inf

    def check_room(self, header: Header) -> None:
        """Refuse, with a FileError, parity for what one packet has room for in fixed coding."""
        if not self.fec or self.mtu is None:
            return
        if replace(self, fec=0)._fixed_sizes(header, 1)[0] <= self.mtu:
            raise FileError(
                f"tier {header.tier} fits one packet of {self.mtu:,} bytes, which no parity can "
                "protect. Choose 2 packets, smaller packets, or no error correction."
            )

    def make(self, header: Header, coding: str, make: Callable[[int], bytes]) -> bytes:
        """Make the file of the fewest packets.

        Args:
            header: any of the file, as in `at_most`.
            coding: that will be used; "auto" is "fixed" for several packets.
            make: turns a number of data packets into the whole file.

        Raises:
            TargetError: even of the most packets one is larger than `mtu`.
        """
        largest = 0
        for count in self.counts:
            if self.mtu is not None and (coding == "fixed" or (coding == "auto" and count > 1)):
                largest = max(self._fixed_sizes(header, count))
                if largest > self.mtu:
                    continue
            data = make(count)
            largest = max(packet.size_bytes for packet in container.parse(data).packets)
            if self.mtu is None or largest <= self.mtu:
                return data
        raise TargetError(
            f"even {self.counts[-1]} packets have up to {largest:,} bytes each at tier "
            f"{header.tier}, more than the {self.mtu:,} allowed. Scale the image down, choose a "
            "lower tier or allow larger packets.",
            expected=self.mtu,
            found=largest,
        )

    def _fixed_sizes(self, header: Header, count: int) -> list[int]:
        """Sizes of all packets in fixed coding."""
        dealt = _dealt(replace(header, coding="fixed", n_packets=count, tier=1))
        size = header.codebook_size
        sizes = [PACKET_HEAD_BYTES + fixedlength.payload_bytes(n, size) for n in dealt]
        return sizes + [1 + max(sizes)] * self.n_parity(count)


@lru_cache(maxsize=32)
def _dealt(header: Header) -> list[int]:
    """Count the indices of each data packet, which are the same for all tiers."""
    return [header.num_indices(index) for index in range(header.n_packets)]


def _listed(counts: tuple[int, ...]) -> str:
    return ", ".join(map(str, counts))
