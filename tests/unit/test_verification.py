"""What verification finds beyond structure and checksums."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqcodec.bitstream import container
from vqcodec.bitstream.packets import write_packet
from vqcodec.verification import verify

TESTS = Path(__file__).parents[1]
TINY = TESTS / "packs" / "tiny"


@pytest.mark.parametrize(
    ("name", "stride"), [("stride-8-of-a-pack-of-16", 8), ("f8-stride-16", 16)]
)
def test_another_stride_than_the_pack_s_is_found(name, stride) -> None:
    data = (TESTS / "golden" / "v1" / "bad" / f"FormatError-{name}.vqc").read_bytes()
    pack = TINY.with_name("tiny" if stride == 8 else "tiny-f8")
    (finding,) = verify(data, model=pack)
    assert finding.startswith(f"the file has stride {stride}, model pack '{pack.name}' of its")


def test_parity_of_other_data_is_found() -> None:
    data = (TESTS / "golden" / "v1" / "fec-20-4.vqc").read_bytes()
    assert verify(data, model=TINY) == []
    parsed = container.parse(data)
    header, last = parsed.header, parsed.packets[-1]
    wrong = last.payload[:-1] + bytes([last.payload[-1] ^ 1])
    forged = data[: last.offset] + write_packet(header, last.index, wrong)
    (finding,) = verify(forged, model=TINY)
    assert "parity" in finding
