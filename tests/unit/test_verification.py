"""What verification finds beyond structure and checksums."""

from __future__ import annotations

from pathlib import Path

from vqcodec.bitstream import container
from vqcodec.bitstream.packets import write_packet
from vqcodec.verification import verify

TESTS = Path(__file__).parents[1]
TINY = TESTS / "packs" / "tiny"


def test_parity_of_other_data_is_found() -> None:
    data = (TESTS / "golden" / "v1" / "fec-20-4.vqc").read_bytes()
    assert verify(data, model=TINY) == []
    parsed = container.parse(data)
    header, last = parsed.header, parsed.packets[-1]
    wrong = last.payload[:-1] + bytes([last.payload[-1] ^ 1])
    forged = data[: last.offset] + write_packet(header, last.index, wrong)
    (finding,) = verify(forged, model=TINY)
    assert "parity" in finding
