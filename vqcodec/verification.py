"""Is a file whole? Structure and checksums, then every payload decoded to indices; no torch.

FORMAT.md section 9 lists what a decoder refuses; this room collects what it finds instead of
stopping.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vqcodec.bitstream import container
from vqcodec.bitstream.container import Container
from vqcodec.bitstream.layout import MAX_PIXELS
from vqcodec.bitstream.salvage import salvage
from vqcodec.errors import ChecksumError, FormatError
from vqcodec.fec import protect
from vqcodec.packs import store
from vqcodec.payload import decode_index_map

MANY_INDICES: Final = 2**24
"""Those of the largest picture at stride 16; to decode so many takes 0.4 GB and a few seconds."""


def verify(
    data: bytes, *, model: str | Path | None = None, max_pixels: int = MAX_PIXELS
) -> list[str]:
    """Check a file down to its index map.

    Args:
        data: the whole file.
        model: name or folder of the pack to insist on; None searches by the file's weights id.
        max_pixels: refuse larger pictures in coding mode "context", of which a few bytes can ask
            for hours of arithmetic; the other modes are checked at any size up to `MANY_INDICES`.

    Returns:
        What is wrong, one line each, for people; empty when the file is intact.

    Raises:
        LimitError: the picture is larger than `max_pixels`.
        ModelError: the checksums are right but the pack, whose tables the payloads need, is not at
            hand or lacks them.
    """
    try:
        parsed = container.parse(data)
        payloads = parsed.payloads()
    except FormatError as error:
        return _damage(data, error)
    header = parsed.header
    if header.coding == "context" or header.map_height * header.map_width > MANY_INDICES:
        header.check_pixels(max_pixels)
    pack = store.find_by_id(header.weights_id, model)
    tables = pack.tables(header.tier, header.coding)
    try:
        header.check_stride(pack.manifest.stride, pack.name)
        decode_index_map(payloads, header, *tables)
    except FormatError as error:
        return [error.message]
    by_index = sorted((packet.index, packet.payload) for packet in parsed.packets)
    stored = [payload for index, payload in by_index if index >= header.n_packets]
    if stored and stored != protect(payloads, len(stored)):
        return ["the parity packets are not those of the data packets; get the file again"]
    return []


def _damage(data: bytes, error: FormatError) -> list[str]:
    """Name all packets that are damaged or missing in a file that was refused for `error`."""
    try:
        saved = salvage(data)
        found = Container(saved.header, saved.packets)
        damaged, n_foreign_bytes = saved.damaged, saved.n_foreign_bytes
    except FormatError:
        try:
            found = container.parse(data)
        except FormatError:
            return [error.message]
        damaged = tuple(packet for packet in found.packets if not packet.is_intact)
        n_foreign_bytes = 0
    offsets = sorted(packet.offset for packet in {*found.packets, *damaged})
    numbers = {offset: number for number, offset in enumerate(offsets)}
    findings = [
        f"packet {numbers[packet.offset]} at byte {packet.offset}: checksum "
        f"{packet.checksum:06x}, stored {packet.stored_checksum:06x}"
        for packet in damaged
    ]
    is_told = isinstance(error, ChecksumError) or error.details.get("field") == "packets"
    if not is_told:
        findings.insert(0, error.message)
    n_packets, n_parity = found.header.n_packets, found.n_parity
    there = {packet.index for packet in (*found.packets, *damaged)}
    missing = [str(index) for index in range(n_packets + n_parity) if index not in there]
    if missing:
        told = f"{n_packets}+{n_parity}" if n_parity else f"{n_packets}"
        findings.append(f"{len(missing)} of {told} packets missing ({', '.join(missing)})")
    if n_foreign_bytes:
        findings.append(f"{n_foreign_bytes:,} bytes that belong to no packet")
    return findings or [error.message]
