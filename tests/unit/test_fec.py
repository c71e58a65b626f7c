"""Parity payloads are those of reedsolo; losses are rebuilt; hostile parity does no harm."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
import reedsolo

from vqcodec import fec
from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header

# 20 x 15 positions in 4 packets of 75, thus 29 bytes in fixed coding.
FIXED = Header(1, "fixed", 4, 0xBEEF, 320, 240)
TABLE = Header(1, "table", 4, 0xBEEF, 320, 240)


def noise(lengths: list[int], seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 256, size=length, dtype=np.uint8).tobytes() for length in lengths]


def packets(payloads: list[bytes], parity: list[bytes]) -> dict[int, bytes]:
    return dict(enumerate([*payloads, *parity]))


def without(given: dict[int, bytes], *lost: int) -> dict[int, bytes]:
    return {index: payload for index, payload in given.items() if index not in lost}


@pytest.mark.parametrize(
    ("n_packets", "n_parity", "size"),
    [(2, 1, 5), (2, 253, 3), (20, 4, 40), (128, 127, 9), (64, 64, 20_000), (3, 2, 0)],
)
def test_parity_is_what_reedsolo_writes_column_by_column(n_packets, n_parity, size) -> None:
    payloads = noise([max(0, size - n % 3) for n in range(n_packets)])
    parity = fec.protect(payloads, n_parity)
    assert len(parity) == n_parity
    assert {len(row) for row in parity} == {1 + size}
    assert {row[0] for row in parity} == ({n_parity})
    codec = reedsolo.RSCodec(n_parity)
    for column in {0, size // 2, size - 1} if size else ():
        word = bytes(row[column] if column < len(row) else 0 for row in payloads)
        assert codec.encode(word)[n_packets:] == bytes(row[1 + column] for row in parity)


def test_one_parity_packet_is_the_exclusive_or() -> None:
    payloads = noise([9, 9, 9])
    (parity,) = fec.protect(payloads, 1)
    assert parity[1:] == bytes(a ^ b ^ c for a, b, c in zip(*payloads, strict=True))


def test_the_file_of_the_document(root: Path) -> None:
    text = (root / "docs" / "FORMAT.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (11 11 12 34 .*)$", text, re.MULTILINE)
    data = bytes.fromhex("d6565143" + "".join(lines))
    payloads = container.parse(data).payloads()
    header = Header(1, "table", 2, 0x1234, 70, 40)
    parity = fec.protect(payloads, 2)
    assert container.write(header, payloads, parity) == data
    given = packets(payloads, parity)
    for kept in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        rebuilt = fec.recover(header, {index: given[index] for index in kept})
        assert rebuilt == dict(enumerate(payloads))


@pytest.mark.parametrize(
    ("n_packets", "n_parity"), [(1, 1), (0, 1), (2, 0), (2, -1), (2, 254), (128, 128), (256, 1)]
)
def test_codewords_that_do_not_exist_are_the_callers_mistake(n_packets, n_parity) -> None:
    with pytest.raises(ValueError, match=rf"^{n_packets}\+{n_parity} packets"):
        fec.protect([b"ab"] * n_packets, n_parity)


def test_as_many_as_the_parity_packets_can_be_lost() -> None:
    payloads = noise([29] * 4)
    given = packets(payloads, fec.protect(payloads, 2))
    whole = dict(enumerate(payloads))
    assert fec.recover(FIXED, given) == whole
    assert fec.recover(FIXED, without(given, 0, 3)) == whole
    assert fec.recover(FIXED, without(given, 1, 4)) == whole
    assert fec.recover(FIXED, without(given, 4, 5)) == whole
    # One too many: what came is given, nothing is made up.
    assert fec.recover(FIXED, without(given, 0, 1, 2)) == {3: payloads[3]}
    assert fec.recover(FIXED, without(given, 0, 3, 5)) == {1: payloads[1], 2: payloads[2]}
    assert fec.recover(FIXED, {}) == {}


def test_lengths_come_back_without_being_stored() -> None:
    fixed = Header(1, "fixed", 4, 0xBEEF, 16 * 7, 16)  # 2, 2, 2 and 1 positions: a byte each
    assert [fixed.num_indices(index) for index in range(4)] == [2, 2, 2, 1]
    payloads = [b"\x90", b"\0", b"\x04", b"\0"]  # zeros at the end are part of fixed payloads
    given = packets(payloads, fec.protect(payloads, 4))
    assert fec.recover(fixed, without(given, 0, 1, 2, 3)) == dict(enumerate(payloads))
    payloads = [b"", *noise([3, 7, 1])]
    given = packets(payloads, fec.protect(payloads, 4))
    assert fec.recover(TABLE, without(given, 0, 1, 2, 3)) == dict(enumerate(payloads))
    payloads = [b""] * 4
    given = packets(payloads, fec.protect(payloads, 1))
    assert given[4] == b"\1"
    assert fec.recover(TABLE, without(given, 2)) == dict(enumerate(payloads))


@pytest.mark.parametrize("header", [FIXED, TABLE])
@pytest.mark.parametrize(
    "parity",
    [
        b"",
        b"\0" + bytes(29),  # no parity packets
        b"\1" + bytes(29),  # only one, and this would be the third
        b"\xfc" + bytes(29),  # 256 packets
        b"\xff" + bytes(29),
        b"\2",
        b"\2" + bytes(28),  # shorter than an intact payload
        b"\2" + bytes(1000),  # longer than a payload may be
    ],
)
def test_impossible_parity_is_not_used(header, parity) -> None:
    payloads = noise([29] * 4)
    rest = without(packets(payloads, fec.protect(payloads, 2)), 1, 4, 5)
    hostile = {5 if parity[:1] == b"\1" else 4: parity}
    if parity[:1] == b"\1":
        hostile |= {6: parity}
    assert fec.recover(header, rest | hostile) == rest
    # Nor does it hinder what is right.
    good = packets(payloads, fec.protect(payloads, 6))
    rest = without(good, 1, 4, 5, 6) | hostile
    assert fec.recover(header, rest) == dict(enumerate(payloads))


def test_the_largest_group_that_agrees_is_used() -> None:
    payloads = noise([29] * 4)
    right, wrong = fec.protect(payloads, 5), fec.protect(noise([29] * 4, 1), 3)
    rest = {2: payloads[2], 3: payloads[3]}
    assert fec.recover(FIXED, rest | {4: wrong[0], 5: right[1], 8: right[4]}) == dict(
        enumerate(payloads)
    )
    # Of equal groups that of the lowest index: here it is too small alone.
    assert fec.recover(FIXED, rest | {4: wrong[0], 8: right[4]}) == rest
    three = rest | {1: payloads[1]}
    assert fec.recover(FIXED, three | {4: right[0], 6: wrong[2]}) == dict(enumerate(payloads))


def test_rebuilt_payloads_that_no_encoder_writes_are_not_taken() -> None:
    # 5 x 1 positions in 4 packets: the first holds two, the last three one; 5 bits each.
    header = Header(3, "fixed", 4, 0xBEEF, 80, 16)
    payloads = [b"\x12\x40", b"\x18", b"\x20", b"\x28"]
    parity = fec.protect(payloads, 2)
    given = packets(payloads, parity)
    assert fec.recover(header, without(given, 1, 2)) == dict(enumerate(payloads))
    given[4] = given[4][:2] + bytes([given[4][2] ^ 1])  # now the padding is not zero
    rest = without(given, 1, 2)
    assert fec.recover(header, rest) == {0: payloads[0], 3: payloads[3]}
    # A packet without positions has no bytes in any mode.
    empty = Header(1, "table", 4, 0xBEEF, 16, 16)
    assert [empty.num_indices(index) for index in range(4)] == [1, 0, 0, 0]
    rest = without(
        packets([b"\x12", b"\x34", b"", b""], fec.protect([b"\x12", b"\x34", b"", b""], 1)), 1
    )
    assert fec.recover(empty, rest) == {0: b"\x12", 2: b"", 3: b""}


def test_indices_that_no_file_has_and_files_of_one_packet_are_left_alone() -> None:
    one = Header(1, "fixed", 1, 0xBEEF, 16, 16)
    assert fec.recover(one, {}) == {}
    assert fec.recover(one, {1: b"\1\xa0"}) == {}
    assert fec.recover(one, {0: b"\xa0", 9: b"\1"}) == {0: b"\xa0"}
    most = Header(1, "fixed", 256, 0xBEEF, 320, 240)
    assert fec.recover(most, {255: b"\xa0"}) == {255: b"\xa0"}


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_as_payloads_do_no_harm(seed) -> None:
    rng = np.random.default_rng(seed)
    for header in (FIXED, TABLE):
        lengths = rng.integers(0, 40, size=12)
        given = dict(
            zip(rng.permutation(256)[:12].tolist(), noise(lengths.tolist(), seed), strict=True)
        )
        given |= {
            index: bytes([rng.integers(1, 4)]) + given.pop(index, b"")[:29].ljust(29)
            for index in (4, 5, 6)
        }
        found = fec.recover(header, given)
        assert set(found) <= set(range(4))
        assert {index: found[index] for index in given if index < 4} == {
            index: payload for index, payload in given.items() if index < 4
        }


def test_large_files_take_no_seconds() -> None:
    header = Header(12, "table", 128, 0xBEEF, 6000, 4000)
    payloads = noise([1280] * 128)
    begin = time.perf_counter()
    given = packets(payloads, fec.protect(payloads, 127))
    rebuilt = fec.recover(header, without(given, *range(127)))
    assert rebuilt == dict(enumerate(payloads))
    assert time.perf_counter() - begin < 10  # about half a second; machines differ
