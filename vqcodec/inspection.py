"""What a file says of itself, from its bytes alone: no torch, no numpy, no model pack.

Follows FORMAT.md sections 3 to 5; damage is described here and refused elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import FORMAT_VERSION
from vqcodec.bitstream.registry import REGISTERED_PACKS


@dataclass(frozen=True)
class PacketInfo:
    """One packet: number, place and size in the file, indices carried, whether it is intact."""

    index: int
    offset: int
    size_bytes: int
    num_indices: int
    checksum_ok: bool


@dataclass(frozen=True)
class StreamInfo:
    """What `vqcodec info` tells; `bpp` counts the whole file over the original's pixels."""

    format_version: int
    width_px: int
    height_px: int
    tier: int
    codebook_size: int
    weights_id: int
    model: str | None
    coding: str
    n_packets: int
    size_bytes: int
    bpp: float
    header_bytes: int
    packets: tuple[PacketInfo, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every packet is there once and intact."""
        intact = [packet.index for packet in self.packets if packet.checksum_ok]
        return sorted(intact) == list(range(self.n_packets)) and len(self.packets) == self.n_packets


def describe(data: bytes) -> StreamInfo:
    """Describe a file.

    Args:
        data: the whole file.

    Returns:
        Its header's fields and its packets; `header_bytes` is everything but the payloads, `model`
        the name of the registered pack or None.

    Raises:
        FormatError: not even a header can be read (subclasses say why).
    """
    parsed = container.parse(data)
    header = parsed.header
    registered = REGISTERED_PACKS.get(header.weights_id)
    return StreamInfo(
        format_version=FORMAT_VERSION,
        width_px=header.width,
        height_px=header.height,
        tier=header.tier,
        codebook_size=header.codebook_size,
        weights_id=header.weights_id,
        model=registered.name if registered else None,
        coding=header.coding,
        n_packets=header.n_packets,
        size_bytes=len(data),
        bpp=8 * len(data) / (header.width * header.height),
        header_bytes=len(data) - sum(len(packet.payload) for packet in parsed.packets),
        packets=tuple(
            PacketInfo(
                packet.index,
                packet.offset,
                packet.size_bytes,
                header.num_indices(packet.index) if packet.index < header.n_packets else 0,
                packet.is_intact,
            )
            for packet in parsed.packets
        ),
    )
