"""What a file says of itself, from its bytes alone: no torch, no numpy, no model pack.

Follows FORMAT.md sections 3 to 5A; damage is described here and refused elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.bitstream import container
from vqcodec.bitstream.container import Container
from vqcodec.bitstream.layout import FORMAT_VERSION
from vqcodec.bitstream.registry import REGISTERED_PACKS
from vqcodec.bitstream.salvage import salvage
from vqcodec.errors import FormatError


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
    """What `vqcodec info` tells; `bpp` counts the whole file over the original's pixels.

    Attributes:
        stride: pixels per index along each axis.
        n_packets: data packets that the file should have.
        n_parity: parity packets that it was written with, as far as an intact one says.
        packets: in the order of the file; where `checksum_ok` is false, a packet stands or stood,
            and its index is not to be trusted.
        is_damaged: whether anything is missing, damaged, there twice or foreign.
        n_intact: data packets that are intact.
        n_parity_intact: parity packets that are intact.
        missing: data packets of which no intact copy is there.
        foreign_bytes: bytes that belong to no packet.
    """

    format_version: int
    width_px: int
    height_px: int
    tier: int
    codebook_size: int
    stride: int
    weights_id: int
    model: str | None
    coding: str
    n_packets: int
    n_parity: int
    size_bytes: int
    bpp: float
    header_bytes: int
    packets: tuple[PacketInfo, ...]
    is_damaged: bool
    n_intact: int
    n_parity_intact: int
    missing: tuple[int, ...]
    foreign_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether every packet is there once and intact."""
        return not self.is_damaged


def describe(data: bytes) -> StreamInfo:
    """Describe a file, or what is left of it.

    Args:
        data: any bytes.

    Returns:
        The header's fields and the packets; `header_bytes` is everything but the payloads, `model`
        the name of the registered pack or None. Where the bytes are no whole file, the packets are
        those that can be found in them.

    Raises:
        FormatError: there is no packet, and not even a header in its place (subclasses say why).
    """
    parsed, is_damaged, foreign_bytes = _parsed(data)
    header, n_packets = parsed.header, parsed.header.n_packets
    intact = {packet.index for packet in parsed.packets if packet.is_intact}
    n_parity = parsed.n_parity
    registered = REGISTERED_PACKS.get(header.weights_id)
    return StreamInfo(
        format_version=FORMAT_VERSION,
        width_px=header.width,
        height_px=header.height,
        tier=header.tier,
        codebook_size=header.codebook_size,
        stride=header.stride,
        weights_id=header.weights_id,
        model=registered.name if registered else None,
        coding=header.coding,
        n_packets=n_packets,
        n_parity=n_parity,
        size_bytes=len(data),
        bpp=8 * len(data) / (header.width * header.height),
        header_bytes=len(data) - sum(len(packet.payload) for packet in parsed.packets),
        packets=tuple(
            PacketInfo(
                packet.index,
                packet.offset,
                packet.size_bytes,
                header.num_indices(packet.index) if packet.index < n_packets else 0,
                packet.is_intact,
            )
            for packet in parsed.packets
        ),
        is_damaged=is_damaged,
        n_intact=sum(index in intact for index in range(n_packets)),
        n_parity_intact=sum(n_packets + number in intact for number in range(n_parity)),
        missing=tuple(index for index in range(n_packets) if index not in intact),
        foreign_bytes=foreign_bytes,
    )


def _parsed(data: bytes) -> tuple[Container, bool, int]:
    """The file, or what can be found of it; whether it is damaged; how many bytes are foreign."""
    parsed: Container | None = None
    try:
        parsed = container.parse(data)
        parsed.payloads()
        return parsed, False, 0
    except FormatError:
        try:
            saved = salvage(data)
        except FormatError:
            if parsed is None:
                raise
            return parsed, True, 0
    packets = sorted((*saved.packets, *saved.damaged), key=lambda packet: packet.offset)
    return Container(saved.header, tuple(packets)), True, saved.n_foreign_bytes
