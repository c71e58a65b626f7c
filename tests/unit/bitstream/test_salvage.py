"""Intact packets are found whatever lies around them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from vqcodec.bitstream import container, places
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header, write_packet
from vqcodec.bitstream.salvage import salvage
from vqcodec.bitstream.search import WORK_AT_LEAST, WORK_PER_BYTE, Search
from vqcodec.errors import ChecksumError, NotVqcError, TruncatedError, VersionError

FIXED = Header(tier=8, coding="fixed", n_packets=4, weights_id=0xBEEF, width=200, height=150)
TABLE = Header(tier=8, coding="table", n_packets=4, weights_id=0xBEEF, width=200, height=150)
FINE = replace(FIXED, stride=8)
ALONE = Header(tier=5, coding="table", n_packets=1, weights_id=0x1234, width=300, height=40)


def payloads_of(header: Header, seed: int = 1) -> list[bytes]:
    """Noise of the size that fixed coding asks for; it never ends in a zero byte."""
    noise, bits = random.Random(seed), (header.codebook_size - 1).bit_length()
    sizes = [(header.num_indices(index) * bits + 7) // 8 for index in range(header.n_packets)]
    return [noise.randbytes(size - 1) + b"\x17" for size in sizes]


def packets_of(header: Header, seed: int = 1) -> list[bytes]:
    return [write_packet(header, *each) for each in enumerate(payloads_of(header, seed))]


def noise(size: int, seed: int = 5) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("header", [FIXED, TABLE, ALONE, FINE, replace(TABLE, stride=8)])
def test_a_whole_file_comes_back_with_nothing_to_remark(header) -> None:
    found = salvage(container.write(header, payloads_of(header)))
    assert (found.header, found.payloads) == (header, dict(enumerate(payloads_of(header))))
    assert (found.n_damaged, found.n_duplicates, found.n_foreign_bytes) == (0, 0, 0)
    assert not found.uncertain
    assert found.packets[0].offset == 4
    assert all(packet.is_intact for packet in found.packets)


@pytest.mark.parametrize("header", [FIXED, TABLE])
def test_packets_are_found_in_any_order_among_other_bytes(header) -> None:
    first, second, _, fourth = packets_of(header)
    data = noise(50) + fourth + noise(7) + second + second + noise(300) + first + noise(9)
    found = salvage(data)
    expected = payloads_of(header)
    assert found.payloads == {index: expected[index] for index in (0, 1, 3)}
    assert [(packet.index, packet.offset) for packet in found.packets][:1] == [(3, 50)]
    if header is FIXED:
        assert (found.n_damaged, found.n_duplicates, found.n_foreign_bytes) == (0, 1, 366)
        assert not found.uncertain
    else:  # where noise follows, nothing marks a packet's end
        assert found.uncertain == {0, 3}


@pytest.mark.parametrize("header", [FIXED, FINE])
@pytest.mark.parametrize("around", [40, 20_000])
def test_every_single_packet_is_enough_in_fixed_coding(header, around) -> None:
    for index, packet in enumerate(packets_of(header)):
        found = salvage(noise(around) + packet + noise(around, 6))
        assert (found.header, list(found.payloads)) == (header, [index])


def test_files_that_differ_in_the_stride_alone_are_told_apart() -> None:
    coarse, fine = packets_of(FIXED), packets_of(FINE)
    found = salvage(coarse[0] + fine[1] + coarse[2] + coarse[3])
    assert found.header == FINE  # a packet of it has more positions than three of the other
    assert list(found.payloads) == [1]
    found = salvage(coarse[0] + coarse[1] + fine[1][:-1] + coarse[2])
    assert (found.header, sorted(found.payloads)) == (FIXED, [0, 1, 2])


def test_a_packet_whose_stride_was_hit_is_found_by_the_others() -> None:
    for header, stored in ((FIXED, 0x80), (FINE, 0)):
        parts = packets_of(header)
        parts[1] = parts[1][:1] + bytes([parts[1][1] & 0x7F | stored]) + parts[1][2:]
        found = salvage(MAGIC + b"".join(parts))
        assert (found.header, found.payloads) == (header, dict(enumerate(payloads_of(header))))


def test_a_packet_whose_copy_of_the_header_was_hit_is_found_by_the_others() -> None:
    parts = packets_of(FIXED)
    parts[0] = bytes([parts[0][0] ^ 0x83, *parts[0][1:6], parts[0][6] ^ 0x41]) + parts[0][7:]
    assert len(salvage(MAGIC + b"".join(parts)).packets) == 4
    parts = packets_of(TABLE)
    parts[2] = parts[2][:3] + bytes([parts[2][3] ^ 0xFF]) + parts[2][4:]
    found = salvage(MAGIC + b"".join(parts))
    assert (len(found.packets), found.uncertain) == (4, set())


def test_damage_is_told_by_its_place() -> None:
    parts = packets_of(FIXED)
    parts[1] = parts[1][:-1] + bytes([parts[1][-1] ^ 1])
    found = salvage(b"".join(parts))
    (bad,) = found.damaged
    assert (bad.index, bad.offset, bad.is_intact) == (1, len(parts[0]), False)
    assert bad.size_bytes == len(parts[1])
    assert (sorted(found.payloads), found.n_foreign_bytes) == ([0, 2, 3], 0)


def test_inserted_and_cut_bytes_cost_one_packet() -> None:
    data = container.write(FIXED, payloads_of(FIXED))
    for changed in (data[:40] + b"abc" + data[40:], data[:40] + data[46:]):
        assert sorted(salvage(changed).payloads) == [1, 2, 3]
        assert salvage(changed).n_damaged == 1
    assert sorted(salvage(data[30:-1]).payloads) == [1, 2]


def test_a_file_of_one_packet_is_found_before_other_bytes() -> None:
    data = container.write(ALONE, payloads_of(ALONE))
    for before, after in ((b"", noise(200)), (noise(30), noise(200)), (noise(30), b"")):
        found = salvage(before + data + after)
        assert found.payloads == {0: payloads_of(ALONE)[0]}
        assert found.uncertain == ({0} if after else set())
        assert found.n_foreign_bytes == len(before + after)
    damaged_magic = b"\xd6VQB" + data[4:]
    assert salvage(damaged_magic + noise(100)).payloads == {0: payloads_of(ALONE)[0]}


def test_of_two_files_the_one_with_more_positions_is_taken() -> None:
    small = Header(8, "fixed", 2, 0xBEEF, 50, 50)
    both = [container.write(header, payloads_of(header)) for header in (small, FIXED)]
    for data in (both[0] + both[1], both[1] + both[0]):
        found = salvage(data)
        assert (found.header, len(found.packets), found.n_damaged) == (FIXED, 4, 0)
        assert found.n_foreign_bytes == len(both[0])
    # Damage decides otherwise.
    left = salvage(both[0] + both[1][:-200])
    assert left.header == small


def test_parity_packets_count_as_packets() -> None:
    payloads = payloads_of(FIXED)
    size = max(map(len, payloads))
    parity = [bytes([2]) + noise(size, seed) for seed in (1, 2)]
    data = container.write(FIXED, payloads, parity)
    found = salvage(noise(10) + data[4:])
    assert sorted(found.payloads) == [0, 1, 2, 3, 4, 5]
    assert found.payloads[5] == parity[1]
    # One that speaks of another number of packets is none.
    alien = write_packet(FIXED, 200, bytes([2]) + noise(size))
    assert sorted(salvage(data + alien).payloads) == [0, 1, 2, 3, 4, 5]


def test_the_first_intact_packet_of_an_index_counts() -> None:
    mine, others = packets_of(FIXED, 1), packets_of(FIXED, 2)
    found = salvage(mine[0] + others[0] + others[1])
    assert found.payloads == {0: payloads_of(FIXED, 1)[0], 1: payloads_of(FIXED, 2)[1]}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotVqcError),
        (b"no packet, no magic", NotVqcError),
        (noise(5000), NotVqcError),
        (MAGIC + FIXED.write()[:5], TruncatedError),
        (MAGIC + b"\x21" + bytes(40), VersionError),
        (MAGIC + packets_of(ALONE)[0][:-3], ChecksumError),
        (b"".join(packet[:-9] for packet in packets_of(FIXED)), ChecksumError),
    ],
)
def test_where_nothing_is_intact_the_error_says_what_is_there(data, error) -> None:
    with pytest.raises(error) as caught:
        salvage(data)
    assert type(caught.value) is error


SIZE = 2**19


def prefixes(coding: str, n_packets: int) -> bytes:
    """Nothing but prefixes, each another, of large pictures."""
    many = random.Random(3)
    headers = (
        Header(
            *(12, coding, n_packets, many.randrange(65536), many.randrange(9999, 65536), 999),
            stride=many.choice((16, 8)),
        )
        for _ in range(SIZE // 12)
    )
    return b"".join(header.write() + b"\0abc" for header in headers)


HUGE = Header(12, "table", 128, 7, 65535, 65535, 8).write()
MADE_UP: dict[str, Callable[[], bytes]] = {
    "noise": lambda: noise(SIZE),
    "zeros": lambda: bytes(SIZE),
    "one byte": lambda: b"\x11" * SIZE,
    "headers everywhere": lambda: bytes(random.Random(3).choices(range(0x11, 0x1D), k=SIZE)),
    "fixed": lambda: prefixes("fixed", 1),
    "many packets": lambda: prefixes("fixed", 256),
    "table": lambda: prefixes("table", 128),
    "one prefix": lambda: (HUGE + b"\0abc") * (SIZE // 12),
    "parity": lambda: (HUGE + b"\xf0abc" + noise(1000)) * (SIZE // 1012),
    "magic": lambda: MAGIC * (SIZE // 4),
}


@pytest.mark.parametrize("name", MADE_UP)
def test_made_up_bytes_cost_no_more_work_than_promised(name) -> None:
    data = MADE_UP[name]()
    search = Search(data)
    search.best()
    assert search.work <= WORK_AT_LEAST + WORK_PER_BYTE * len(data)


@pytest.mark.parametrize("coding", ["fixed", "table", "context"])
def test_a_search_whose_work_is_spent_ends_with_what_it_has(coding) -> None:
    header = Header(8, coding, 64, 0xBEEF, 900, 700)
    parts = [part[:-1] + bytes([0x17 ^ at % 2]) for at, part in enumerate(packets_of(header))]
    data = b"".join(part + noise(9, at) for at, part in enumerate(parts))
    whole = Search(data)
    whole.best()
    n_found = []
    for percent in range(0, 105, 5):
        search = Search(data)
        search._most_work = whole.work * percent // 100
        found = search.best()
        assert search.work <= search._most_work
        n_found.append(len(found.packets) if found else 0)
    assert n_found[0] == 0
    assert n_found[-1] == max(n_found) > 0


def test_near_places_are_those_with_few_other_bits() -> None:
    pattern = b"\x12\x34\x56\x78\x9a\xbc\xde\xf0"
    other = bytes(byte ^ 1 for byte in pattern)
    data = noise(99) + other + noise(2**20) + pattern + b"z"  # across a border of chunks, too
    assert places.near(data, pattern, 8) == [99, 99 + 8 + 2**20]
    assert places.near(data, pattern, 7) == places.exact(data, pattern) == [99 + 8 + 2**20]
    assert places.near(b"short", pattern, 8) == []
