"""The fewest packets of a size, parity by share; the codec makes such files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vqcodec import codec, fec
from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header
from vqcodec.errors import FileError, TargetError
from vqcodec.packing import COUNTS, Packing
from vqcodec.packs import store
from vqcodec.payload import decode_index_map

# 12 x 8 positions of 10 bits at tier 8: 120 bytes in one packet.
HEADER = Header(8, "fixed", 1, 0xBEEF, 192, 128)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(128, 192, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("n_packets", "share", "n_parity"),
    [
        (20, 0.2, 4),
        (20, 0.21, 5),
        (20, 0.55, 11),
        (2, 0.01, 1),
        (4, 4, 16),
        (3, 1e-12, 1),
        (8, 0, 0),
    ],
)
def test_parity_is_a_share_rounded_up(n_packets, share, n_parity) -> None:
    assert Packing(n_packets, fec=share).n_parity(n_packets) == n_parity


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_packets": 5}, "5 packets: the format has 1, 2, 3, 4"),
        ({"n_packets": 2, "mtu": 100}, "give one"),
        ({"mtu": 12}, "mtu is 12"),
        ({"mtu": -1}, "mtu is -1"),
        ({"fec": 0.2}, r"1\+1 packets: parity takes 2"),
        ({"n_packets": 128, "fec": 1}, r"128\+128 packets"),
        ({"n_packets": 256, "fec": 0.01}, r"256\+3 packets"),
        ({"n_packets": 4, "fec": 4.1}, "up to 4"),
        ({"n_packets": 4, "fec": -0.1}, "fec is -0.1"),
        ({"n_packets": 4, "fec": math.nan}, "fec is nan"),
    ],
)
def test_what_no_file_can_have_is_the_callers_mistake(pixels, options, match) -> None:
    with pytest.raises(ValueError, match=match):
        Packing(**options)
    with pytest.raises(ValueError, match=match):
        codec.encode(pixels, tier=1, **options)


def test_the_bound_is_the_size_in_fixed_coding() -> None:
    assert Packing().at_most(HEADER) == 4 + 12 + 120
    assert Packing(4).at_most(HEADER) == 4 + 4 * (12 + 30)
    assert Packing(4, fec=0.5).at_most(HEADER) == 4 + 4 * 42 + 2 * 43
    assert Packing(mtu=42).at_most(HEADER) == Packing(4).at_most(HEADER)
    assert Packing(mtu=41).at_most(HEADER) == Packing(6).at_most(HEADER)
    # A parity packet is a byte longer than the longest data packet.
    assert Packing(mtu=42, fec=0.5).at_most(HEADER) == Packing(6, fec=0.5).at_most(HEADER)
    assert Packing(mtu=13).at_most(HEADER) == math.inf
    fine = replace(HEADER, stride=8)  # 24 x 16 positions
    assert Packing().at_most(fine) == 4 + 12 + 480
    assert Packing(mtu=132).at_most(fine) == Packing(4).at_most(fine) == 4 + 4 * 132


def sizes(data: bytes) -> list[int]:
    return [packet.size_bytes for packet in container.parse(data).packets]


def files(pixels: np.ndarray, **options: object) -> Iterator[bytes]:
    """Files of ascending numbers of packets."""
    share = float(options.get("fec", 0))
    for count in COUNTS[1 if share else 0 :]:
        if not share or count + Packing(2, fec=share).n_parity(count) <= 255:
            yield codec.encode(pixels, n_packets=count, **options)


@pytest.mark.parametrize("mtu", [200, 120, 60, 30])
@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("coding", ["auto", "fixed", "table", "context"])
def test_the_fewest_packets_that_are_small_enough_are_taken(
    tiny_pack: Path, pixels, coding, share, mtu
) -> None:
    options = {"model": tiny_pack.with_name("tiny-context"), "coding": coding, "tier": 6}
    options |= {"fec": share} if share else {}
    first = next((data for data in files(pixels, **options) if max(sizes(data)) <= mtu), None)
    if share and mtu >= 12 + 96:
        with pytest.raises(FileError, match=r"^tier 6 fits one packet of \d+ bytes, .* 2 packets"):
            codec.encode(pixels, mtu=mtu, **options)
        return
    if first is None:
        assert (coding, mtu) == ("context", 30)  # this random model's blocks of 8 do not fit
        with pytest.raises(TargetError, match=r"^even \d+ packets have up to"):
            codec.encode(pixels, mtu=mtu, **options)
        return
    data = codec.encode(pixels, mtu=mtu, **options)
    assert data == first
    header = container.parse(data).header
    assert header.coding == coding or coding == "auto"
    if coding == "auto" and header.n_packets > 1:
        assert header.coding == "fixed"


def test_packets_that_cannot_be_so_small_are_told(tiny_pack: Path, pixels) -> None:
    options = {"model": tiny_pack, "tier": 8, "mtu": 13}
    with pytest.raises(TargetError, match=r"^even 256 packets have up to 14 bytes each at tier 8"):
        codec.encode(pixels, **options)
    with pytest.raises(TargetError, match=r"^even 128 packets have up to 15 bytes each at tier 8"):
        codec.encode(pixels, fec=0.9, **options)
    with pytest.raises(TargetError, match=r"^even 256 packets have up to \d+ bytes each at tier 8"):
        codec.encode(pixels, coding="table", **options)


@pytest.mark.parametrize("coding", ["auto", "fixed", "table"])
@pytest.mark.parametrize("packing", [{"n_packets": 10}, {"mtu": 40}, {"mtu": 150}, {"mtu": 14}])
def test_a_target_counts_the_whole_file(tiny_pack: Path, pixels, coding, packing) -> None:
    options = {"model": tiny_pack, "coding": coding, "fec": 0.25, **packing}
    for target in (300, 600, 5000):
        try:
            data = codec.encode(pixels, target_bytes=target, **options)
        except TargetError:
            assert target < 5000 or (coding, packing) == ("table", {"mtu": 14})
            continue
        assert len(data) <= target
        parsed = container.parse(data)
        assert parsed.n_parity == math.ceil(parsed.header.n_packets / 4)
        assert max(sizes(data)) <= packing.get("mtu", 999)
        payloads = parsed.payloads()
        assert [p.payload for p in parsed.packets[parsed.header.n_packets :]] == fec.protect(
            payloads, parsed.n_parity
        )


def test_a_target_is_met_where_higher_tiers_have_too_large_packets(tiny_pack: Path, pixels) -> None:
    data = codec.encode(pixels, model=tiny_pack, mtu=13, target_bytes=10_000)
    assert max(sizes(data)) == 13
    assert container.parse(data).header.tier == 6  # 8 bits; a ninth makes a second byte
    table = codec.encode(pixels, model=tiny_pack, mtu=14, target_bytes=10_000, coding="table")
    assert max(sizes(table)) <= 14


def test_any_packets_as_many_as_the_data_give_the_same_indices(tiny_pack: Path, pixels) -> None:
    pack = store.load(tiny_pack)
    plain = container.parse(codec.encode(pixels, model=tiny_pack, n_packets=12))
    parsed = container.parse(codec.encode(pixels, model=tiny_pack, n_packets=12, fec=0.5))
    # The data packets are those of the file without parity.
    assert plain.packets == parsed.packets[:12]
    tables = pack.tables(parsed.header.tier, parsed.header.coding)
    whole = decode_index_map(parsed.payloads(), parsed.header, *tables)
    rng = np.random.default_rng(0)
    for _ in range(10):
        kept = [parsed.packets[place] for place in rng.permutation(18)[:12]]
        found = fec.recover(parsed.header, {packet.index: packet.payload for packet in kept})
        indices = decode_index_map([found[n] for n in range(12)], parsed.header, *tables)
        assert np.array_equal(indices, whole)


def test_a_weight_of_bits_is_for_one_packet(tiny_pack: Path, pixels) -> None:
    model = tiny_pack.with_name("tiny-context")
    for options in ({"n_packets": 2}, {"mtu": 1000}):
        with pytest.raises(ValueError, match="only a file of one packet"):
            codec.encode(pixels, model=model, tier=1, rdo=0.1, **options)
    codec.encode(pixels, model=model, tier=1, rdo=0, n_packets=2)
