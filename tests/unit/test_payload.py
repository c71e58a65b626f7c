"""Decoding what is there of a file: lost packets, bad ones, and ones whose end was guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.golden.make import example
from vqcodec.bitstream.packets import Header
from vqcodec.entropy import sidebyside
from vqcodec.errors import FormatError
from vqcodec.indices.scan import packet_map
from vqcodec.packs import store
from vqcodec.payload import LOST, decode_index_map, encode_index_map

PACKS = Path(__file__).parents[1] / "packs"
CODINGS = ["fixed", "table", "context"]


def made(coding: str, n_packets: int = 4) -> tuple[Header, np.ndarray, list[bytes], tuple]:
    """Header, map, payloads and tables."""
    pack = store.load(PACKS / ("tiny-context" if coding == "context" else "tiny"))
    header = Header(5, coding, n_packets, pack.weights_id, 301, 199)
    indices, tables = example(header, "picture"), pack.tables(5, coding)
    return header, indices, encode_index_map(indices, header, *tables), tables


def owners(header: Header) -> np.ndarray:
    return packet_map(
        header.map_height, header.map_width, header.n_packets, header.row_step, header.block
    )


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("lost", [{0}, {3}, {0, 1, 3}, {0, 1, 2, 3}])
def test_positions_of_lost_packets_are_minus_one_and_others_are_right(coding, lost) -> None:
    header, indices, payloads, tables = made(coding)
    left = [None if index in lost else payload for index, payload in enumerate(payloads)]
    decoded = decode_index_map(left, header, *tables)
    assert decoded.dtype == np.int32
    is_lost = np.isin(owners(header), list(lost))
    assert np.array_equal(decoded, np.where(is_lost, LOST, indices))


@pytest.mark.parametrize(
    ("coding", "bad"),
    [("fixed", b"x"), ("table", b"x\0"), ("context", b"x\0"), ("context", b"\xff" * 12)],
)
def test_a_bad_payload_costs_its_own_packet_alone(coding, bad) -> None:
    header, indices, payloads, tables = made(coding)
    payloads[2] = bad
    with pytest.raises(FormatError, match=r"^packet 2: .*; get the file again$"):
        decode_index_map(payloads, header, *tables)
    told: dict[int, FormatError] = {}
    decoded = decode_index_map(payloads, header, *tables, on_bad=told.__setitem__)
    assert list(told) == [2]
    assert "packet 2: " in told[2].message
    assert np.array_equal(decoded, np.where(owners(header) == 2, LOST, indices))


def test_a_payload_that_goes_bad_midway_leaves_nothing_of_its_packet(monkeypatch) -> None:
    header, indices, payloads, tables = made("context")

    class Late(sidebyside.CellDecoder):
        """Goes bad after some waves, if it is packet 1's."""

        def __init__(self, payload: bytes, n: int) -> None:
            super().__init__(payload, n)
            self.left = 5 if payload == payloads[1] else 999

        def decode(self, rows: np.ndarray) -> np.ndarray:
            self.left -= 1
            if not self.left:
                raise FormatError("out of range")
            return super().decode(rows)

    monkeypatch.setattr(sidebyside, "CellDecoder", Late)
    told: dict[int, FormatError] = {}
    decoded = decode_index_map(payloads, header, *tables, on_bad=told.__setitem__)
    assert list(told) == [1]
    assert np.array_equal(decoded, np.where(owners(header) == 1, LOST, indices))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("n_packets", [1, 4, 20])
def test_right_payloads_are_accepted_however_uncertain(coding, n_packets) -> None:
    header, indices, payloads, tables = made(coding, n_packets)
    decoded = decode_index_map(payloads, header, *tables, uncertain=range(n_packets))
    assert np.array_equal(decoded, indices)


@pytest.mark.parametrize("coding", ["table", "context"])
def test_uncertain_payloads_of_another_length_are_refused(coding) -> None:
    header, indices, payloads, tables = made(coding)
    whole = payloads[1]
    assert len(whole) > 12
    for changed in (whole[: len(whole) // 2] + b"\x01", whole + b"\x01" * 8):
        payloads[1] = changed
        told: dict[int, FormatError] = {}
        decoded = decode_index_map(
            payloads, header, *tables, on_bad=told.__setitem__, uncertain={1}
        )
        assert list(told) == [1]
        assert np.array_equal(decoded, np.where(owners(header) == 1, LOST, indices))
        with pytest.raises(FormatError, match="packet 1: "):
            decode_index_map(payloads, header, *tables, uncertain={1})


def test_as_many_payloads_as_packets_are_asked_for() -> None:
    header, _, payloads, tables = made("fixed")
    with pytest.raises(ValueError, match="3 payloads"):
        decode_index_map(payloads[:3], header, *tables)
