"""Is a file whole? Structure and checksums, then every payload decoded to indices; no torch.

FORMAT.md section 9 lists what a decoder refuses; this room collects what it finds instead of
stopping.
"""

from __future__ import annotations

from pathlib import Path

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAX_PIXELS
from vqcodec.errors import FormatError
from vqcodec.packs import store
from vqcodec.payload import decode_index_map


def verify(
    data: bytes, *, model: str | Path | None = None, max_pixels: int = MAX_PIXELS
) -> list[str]:
    """Check a file down to its index map.

    Args:
        data: the whole file.
        model: name or folder of the pack to insist on; None searches by the file's weights id.
        max_pixels: refuse larger pictures in coding mode "context", of which a few bytes can ask
            for hours of arithmetic; the other modes are checked at any size.

    Returns:
        What is wrong, one line each, for people; empty when the file is intact.

    Raises:
        LimitError: the picture is larger than `max_pixels`.
        ModelError: the checksums are right but the pack, whose tables the payloads need, is not at
            hand or lacks them.
    """
    try:
        parsed = container.parse(data)
    except FormatError as error:
        return [error.message]
    findings = [
        f"packet {number} at byte {packet.offset}: checksum {packet.checksum:06x}, "
        f"stored {packet.stored_checksum:06x}"
        for number, packet in enumerate(parsed.packets)
        if not packet.is_intact
    ]
    if findings:
        return findings
    header = parsed.header
    try:
        payloads = parsed.payloads()
    except FormatError as error:
        return [error.message]
    if header.coding == "context":
        header.check_pixels(max_pixels)
    tables = store.find_by_id(header.weights_id, model).tables(header.tier, header.coding)
    try:
        decode_index_map(payloads, header, *tables)
    except FormatError as error:
        return [error.message]
    return []
