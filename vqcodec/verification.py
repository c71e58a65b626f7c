"""Is a file whole? Structure and checksums, then every payload decoded to indices; no torch.

FORMAT.md section 9 lists what a decoder refuses; this room collects what it finds instead of
stopping.
"""

from __future__ import annotations

from pathlib import Path

from vqcodec.bitstream import container
from vqcodec.errors import FormatError
from vqcodec.packs import store
from vqcodec.payload import decode_index_map


def verify(data: bytes, *, model: str | Path | None = None) -> list[str]:
    """Check a file down to its index map.

    Args:
        data: the whole file.
        model: name or folder of the pack to insist on; None searches by the file's weights id.

    Returns:
        What is wrong, one line each, for people; empty when the file is intact.

    Raises:
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
    try:
        payloads = parsed.payloads()
        pack = store.find_by_id(parsed.header.weights_id, model)
        header = parsed.header
        decode_index_map(payloads, header, *pack.tables(header.tier, header.coding))
    except FormatError as error:
        return [error.message]
    return []
