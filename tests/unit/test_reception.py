"""What arrived of a file: what is read, what is rebuilt, what is lost, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header, write_packet
from vqcodec.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    ModelMismatchError,
    ModelNotFoundError,
    NotVqcError,
)
from vqcodec.fec import protect
from vqcodec.indices.scan import packet_map
from vqcodec.packs import store
from vqcodec.payload import decode_index_map, encode_index_map
from vqcodec.reception import Losses, Received, receive

PACK = store.load(Path(__file__).parents[1] / "packs" / "tiny-context")
SHAPE = (9, 14)
SIZE = SHAPE[0] * SHAPE[1]
CODINGS = ("fixed", "table", "context")


@dataclass(frozen=True)
class Made:
    """A file in its parts."""

    header: Header
    indices: NDArray[np.int32]
    packets: tuple[bytes, ...]

    def without(self, *lost: int) -> bytes:
        kept = [packet for index, packet in enumerate(self.packets) if index not in lost]
        return MAGIC + b"".join(kept)

    def erased(self, *lost: int) -> NDArray[np.bool_]:
        layout = (self.header.n_packets, self.header.row_step)
        return np.isin(packet_map(*SHAPE, *layout, self.header.block), lost)


def make(n_packets: int = 6, n_parity: int = 0, coding: str = "fixed") -> Made:
    header = Header(3, coding, n_packets, PACK.weights_id, 16 * SHAPE[1], 16 * SHAPE[0])
    indices = np.random.default_rng(2).integers(0, 32, SHAPE, np.int32)
    payloads = encode_index_map(indices, header, *PACK.tables(3, coding))
    parity = protect(payloads, n_parity) if n_parity else []
    return Made(header, indices, _packets(header, [*payloads, *parity]))


def _packets(header: Header, payloads: list[bytes]) -> tuple[bytes, ...]:
    return tuple(write_packet(header, *each) for each in enumerate(payloads))


def spoilt(made: Made, number: int) -> Made:
    """The file with a payload that no encoder writes, in a packet whose checksum is right."""
    payloads = [packet.payload for packet in container.parse(made.without()).packets]
    payloads[number] = payloads[number][:-1] + bytes([payloads[number][-1] | 1])  # of the padding
    return Made(made.header, made.indices, _packets(made.header, payloads))


def read(data: bytes, *, strict: bool = False, max_pixels: int = 10**6) -> Received:
    return receive(data, model=PACK.path, max_pixels=max_pixels, strict=strict)


@pytest.mark.parametrize("coding", CODINGS)
def test_of_a_whole_file_nothing_is_lost(coding) -> None:
    made = make(coding=coding)
    received = read(made.without())
    assert np.array_equal(received.indices, made.indices)
    assert received.losses == Losses(6, 0, (), 0, 0, SIZE, 0, is_whole=True)
    assert (received.header, received.pack) == (made.header, PACK)


@pytest.mark.parametrize("coding", CODINGS)
def test_indices_of_missing_packets_are_lost_and_no_others(coding) -> None:
    made = make(coding=coding)
    received = read(made.without(1, 4))
    erased = made.erased(1, 4)
    assert np.array_equal(received.indices, np.where(erased, -1, made.indices))
    assert received.losses == Losses(6, 0, (1, 4), 0, 0, SIZE, int(erased.sum()), is_whole=False)


def test_damage_and_foreign_bytes_are_counted() -> None:
    made = make()
    hit = made.packets[2][:-2] + bytes([made.packets[2][-2] ^ 1, made.packets[2][-1]])
    data = MAGIC + b"".join([*made.packets[:2], hit, *made.packets[3:]]) + b"some words"
    losses = read(data).losses
    assert (losses.missing, losses.n_damaged, losses.n_foreign_bytes) == ((2,), 1, 10)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("lost", "n_rebuilt", "missing"),
    [((0, 5), 2, ()), ((3,), 1, ()), ((3, 7), 1, ()), ((0, 3, 5), 0, (0, 3, 5)), ((6, 7), 0, ())],
)
def test_parity_rebuilds_as_many_as_it_can(coding, lost, n_rebuilt, missing) -> None:
    made = make(n_parity=2, coding=coding)
    received = read(made.without(*lost))
    wanted = np.where(made.erased(*missing), -1, made.indices)
    assert np.array_equal(received.indices, wanted)
    assert (received.losses.n_rebuilt, received.losses.missing) == (n_rebuilt, missing)


def test_parity_alone_can_be_enough() -> None:
    made = make(n_packets=2, n_parity=2)
    received = read(made.without(0, 1))
    assert np.array_equal(received.indices, made.indices)
    assert received.losses.n_rebuilt == 2


def test_parity_whose_end_nothing_tells_rebuilds_nothing() -> None:
    made = make(n_packets=4, n_parity=1, coding="table")
    assert read(made.without(0)).losses.n_rebuilt == 1
    noise = np.random.default_rng(3).bytes(200)
    losses = read(made.without(0) + noise).losses
    assert (losses.n_rebuilt, losses.missing, losses.n_damaged) == (0, (0,), 1)


def test_a_payload_that_no_encoder_writes_is_lost_though_its_checksum_is_right() -> None:
    made = make()
    received = read(spoilt(made, 2).without())
    erased = made.erased(2)
    assert np.array_equal(received.indices, np.where(erased, -1, made.indices))
    assert received.losses == Losses(6, 0, (2,), 1, 0, SIZE, int(erased.sum()), is_whole=False)


def test_such_a_payload_is_rebuilt_from_parity() -> None:
    made = make(n_parity=1)
    parts = [*spoilt(make(), 2).packets, made.packets[6]]
    received = read(MAGIC + b"".join(parts))
    assert np.array_equal(received.indices, made.indices)
    assert received.losses == Losses(6, 1, (), 1, 0, SIZE, 0, is_whole=False)


def test_where_nothing_is_left_the_fault_is_told() -> None:
    made = make(n_packets=4, n_parity=2)
    with pytest.raises(ChecksumError, match="no packet that carries indices"):
        read(made.without(0, 1, 2, 3))
    with pytest.raises(NotVqcError):
        read(b"nothing of the kind")
    with pytest.raises(FormatError, match="spare bits"):
        read(spoilt(make(n_packets=1), 0).without())


def _read_whole(data: bytes) -> NDArray[np.int32]:
    parsed = container.parse(data)
    return decode_index_map(parsed.payloads(), parsed.header, *PACK.tables(3, "fixed"))


@pytest.mark.parametrize("what", ["missing", "hit", "spoilt", "foreign", "cut", "empty"])
def test_strict_refuses_as_one_who_reads_whole_files_does(what) -> None:
    made = make(n_parity=1)
    data = {
        "missing": made.without(3),
        "hit": made.without()[:-1] + bytes([made.without()[-1] ^ 4]),
        "spoilt": spoilt(make(), 2).without(),
        "foreign": b"noise" + made.without(),
        "cut": made.without()[:-4],
        "empty": b"",
    }[what]
    with pytest.raises(FormatError) as plain:
        _read_whole(data)
    with pytest.raises(FormatError) as told:
        read(data, strict=True)
    assert (type(told.value), told.value.message) == (type(plain.value), plain.value.message)


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=9) | st.permutations(range(8)),
    st.sampled_from([MAGIC, b"", b"other bytes"]),
    st.sampled_from([b"", b"more"]),
)
def test_a_file_is_whole_where_strict_takes_it(order, before, after) -> None:
    made = make(n_parity=2)
    data = before + b"".join(made.packets[number] for number in order) + after
    try:
        read(data, strict=True)
        is_taken = True
    except FormatError:
        is_taken = False
    try:
        assert read(data).losses.is_whole is is_taken
    except FormatError:
        assert not is_taken


def test_size_is_judged_before_anything_is_made(monkeypatch) -> None:
    monkeypatch.setattr(store, "find_by_id", lambda *_: pytest.fail("too late"))
    made = make()
    for data in (made.without(), made.without(2)):
        with pytest.raises(LimitError, match="32,255 pixels"):
            read(data, max_pixels=16 * 16 * SIZE - 1)
    huge = Header(3, "table", 6, PACK.weights_id, 65_535, 65_535)
    with pytest.raises(LimitError):
        read(b"noise" + write_packet(huge, 0, b"few bytes"))


def test_the_pack_must_be_the_files(monkeypatch) -> None:
    monkeypatch.setenv("VQCODEC_MODELS", str(PACK.path.parent))
    assert receive(make().without(), model=None, max_pixels=10**6).pack == PACK
    monkeypatch.setattr(store, "_EMBEDDED", ())
    monkeypatch.setenv("VQCODEC_MODELS", "")
    with pytest.raises(ModelNotFoundError):
        receive(make().without(1), model=None, max_pixels=10**6)
    other = PACK.path.with_name("tiny")
    with pytest.raises(ModelMismatchError):
        receive(make().without(1), model=other, max_pixels=10**6)


@pytest.mark.parametrize("lost", [(), (1, 2)])
@pytest.mark.parametrize("coding", CODINGS)
def test_the_stride_must_be_the_pack_s(coding, lost) -> None:
    made = make(coding=coding)
    header = replace(made.header, stride=8, width=8 * SHAPE[1], height=8 * SHAPE[0])
    payloads = encode_index_map(made.indices, header, *PACK.tables(3, coding))
    fine = Made(header, made.indices, _packets(header, payloads))
    for strict in (True, False) if not lost else (False,):
        with pytest.raises(FormatError, match=r"stride 8, model pack 'tiny-context' .* has 16"):
            read(fine.without(*lost), strict=strict)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_pack_of_stride_8_receives_its_files(coding) -> None:
    pack = store.load(PACK.path.with_name("tiny-f8"))
    header = Header(3, coding, 6, pack.weights_id, 8 * SHAPE[1] - 3, 8 * SHAPE[0] - 7, 8)
    indices = np.random.default_rng(3).integers(0, 32, SHAPE, np.int32)
    payloads = encode_index_map(indices, header, *pack.tables(3, coding))
    made = Made(header, indices, _packets(header, [*payloads, *protect(payloads, 2)]))
    for lost, missing in (((), ()), ((0, 5), ()), ((1, 2, 3), (1, 2, 3)), ((7,), ())):
        received = receive(made.without(*lost), model=pack.path, max_pixels=10**6)
        expected = np.where(made.erased(*missing), -1, indices)
        assert np.array_equal(received.indices, expected)
        assert (received.header, received.losses.missing) == (header, missing)


@pytest.mark.parametrize(
    ("losses", "text"),
    [
        (Losses(6, 0, (), 1, 0, 200, 0, False), "damaged, and nothing of the picture is lost"),
        (
            Losses(6, 2, (), 0, 0, 200, 0, False),
            "2 of 6 packets lost, 2 of them rebuilt from parity",
        ),
        (
            Losses(20, 0, (1, 4), 0, 0, 200, 21, False),
            "2 of 20 packets lost, 10.5% of the picture painted by guess",
        ),
        (
            Losses(6, 1, (4,), 0, 0, 200, 33, False),
            "2 of 6 packets lost, 1 of them rebuilt from parity, 16.5% of the picture painted by "
            "guess",
        ),
        (Losses(6, 0, (5,), 0, 0, 5, 0, False), "1 of 6 packets lost"),
    ],
)
def test_losses_are_told_in_one_line(losses, text) -> None:
    assert losses.describe() == text
