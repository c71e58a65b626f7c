"""What is told of damaged files."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from vqcodec.bitstream import container
from vqcodec.errors import FormatError
from vqcodec.inspection import describe
from vqcodec.verification import verify

TESTS = Path(__file__).parents[1]
TINY = TESTS / "packs" / "tiny"
SIX = (TESTS / "golden" / "v1" / "packets-6-fixed.vqc").read_bytes()


def packets() -> list[bytes]:
    offsets = [packet.offset for packet in container.parse(SIX).packets] + [len(SIX)]
    return [SIX[start:end] for start, end in itertools.pairwise(offsets)]


def test_a_whole_file_is_not_damaged() -> None:
    told = describe(SIX)
    assert told.is_whole
    assert (told.is_damaged, told.n_intact, told.missing, told.foreign_bytes) == (False, 6, (), 0)


def test_what_is_left_is_told_from_bytes_without_magic() -> None:
    first, _, third, fourth, *_ = packets()
    hit = fourth[:-1] + bytes([fourth[-1] ^ 4])
    told = describe(b"garbage" + third + b"between" + hit + first)
    assert not told.is_whole
    assert (told.n_packets, told.n_intact, told.missing) == (6, 2, (1, 3, 4, 5))
    assert [(packet.index, packet.checksum_ok) for packet in told.packets] == [
        (2, True),
        (3, False),
        (0, True),
    ]
    assert told.foreign_bytes == 14
    assert told.width_px == describe(SIX).width_px


def test_a_file_without_an_intact_packet_is_described_as_far_as_it_can_be_split() -> None:
    told = describe(SIX[:30])
    assert (told.n_intact, told.is_damaged, told.missing) == (0, True, (0, 1, 2, 3, 4, 5))
    with pytest.raises(FormatError):
        describe(b"nothing")


def test_bytes_behind_a_whole_file_are_damage() -> None:
    one = (TESTS / "golden" / "v1" / "tier8-picture.vqc").read_bytes()
    told = describe(one + bytes(100))
    assert (told.is_damaged, told.n_intact, told.missing) == (True, 1, ())
    assert told.foreign_bytes == 100


def test_parity_packets_are_counted() -> None:
    from vqcodec import fec

    parsed = container.parse(SIX)
    data = container.write(parsed.header, parsed.payloads(), fec.protect(parsed.payloads(), 2))
    told = describe(data)
    assert (told.is_damaged, told.n_parity, told.n_parity_intact) == (False, 2, 2)
    told = describe(data[: -len(packets()[0])])
    assert (told.is_damaged, told.n_parity, told.n_parity_intact) == (True, 2, 1)
    assert (told.n_intact, told.missing) == (6, ())


def test_verify_names_all_that_is_wrong() -> None:
    first, second, third, fourth, fifth, _ = packets()
    hit = third[:-1] + bytes([third[-1] ^ 4])
    findings = verify(SIX[:4] + first + second + hit + b"noise" + fifth, model=TINY)
    assert len(findings) == 3
    assert "packet 2 at byte" in findings[0]
    assert findings[1:] == ["2 of 6 packets missing (3, 5)", "5 bytes that belong to no packet"]
    findings = verify(fourth + first, model=TINY)
    assert findings[0].startswith("not a .vqc file")
    assert findings[1:] == ["4 of 6 packets missing (1, 2, 4, 5)"]
    assert verify(SIX + first, model=TINY) != []
    assert verify(SIX[:4] + second + first + b"".join(packets()[2:]), model=TINY) == []
