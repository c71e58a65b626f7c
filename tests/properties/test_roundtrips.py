"""Any legal header and map survives the journey, byte-exact, and a second decoder agrees."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import decoder
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import PACKET_LAYOUTS, STRIDES, TIERS
from vqcodec.bitstream.packets import Header
from vqcodec.entropy import frequencies, rangecoder
from vqcodec.inspection import describe
from vqcodec.payload import decode_index_map, encode_index_map

headers = st.builds(
    Header,
    tier=st.sampled_from(sorted(TIERS)),
    coding=st.sampled_from(["fixed", "table"]),  # for "context" see test_contexts.py
    n_packets=st.sampled_from([count for count, _ in PACKET_LAYOUTS]),
    weights_id=st.integers(0, 0xFFFF),
    width=st.integers(1, 400),
    height=st.integers(1, 300),
    stride=st.sampled_from(sorted(STRIDES)),
)
counts = st.tuples(st.integers(0, 2**32), st.sampled_from([0.02, 0.3, 5.0]))


def table_of(size: int, seed: int, evenness: float) -> np.ndarray:
    return frequencies.from_counts(np.random.default_rng(seed).gamma(evenness, size=size))


def map_of(header: Header, seed: int, kind: str, table: np.ndarray) -> np.ndarray:
    shape, rng = (header.map_height, header.map_width), np.random.default_rng(seed)
    if kind == "constant":
        return np.full(shape, rng.integers(header.codebook_size), np.int32)
    share = table / table.sum(dtype=np.int64) if kind == "typical" else None
    return rng.choice(header.codebook_size, size=shape, p=share).astype(np.int32)


@given(headers, counts, st.integers(0, 2**32), st.sampled_from(["constant", "noise", "typical"]))
def test_any_map_comes_back_and_the_reference_decoder_agrees(header, count, seed, kind) -> None:
    table = table_of(header.codebook_size, *count)
    indices = map_of(header, seed, kind, table)
    data = container.write(header, encode_index_map(indices, header, table))
    parsed = container.parse(data)
    assert parsed.header == header
    assert np.array_equal(decode_index_map(parsed.payloads(), header, table), indices)
    fields, rows = decoder.decode(data, {header.tier: table.tolist()})
    assert rows == indices.tolist()
    assert (fields["width"], fields["height"]) == (header.width, header.height)
    assert fields["stride"] == header.stride == describe(data).stride
    info = describe(data)
    assert sum(packet.num_indices for packet in info.packets) == indices.size
    assert info.is_whole


@given(
    st.sampled_from(sorted(TIERS.values())),
    counts,
    st.integers(0, 3000),
    st.integers(0, 2**32),
    st.sampled_from(["constant", "rarest", "noise", "typical"]),
)
def test_coded_size_is_within_one_percent_and_three_bytes_of_the_ideal(
    size, count, n, seed, kind
) -> None:
    table, rng = table_of(size, *count), np.random.default_rng(seed)
    if kind in ("constant", "rarest"):
        symbols = np.full(n, table.argmin() if kind == "rarest" else rng.integers(size), np.int32)
    else:
        symbols = rng.choice(size, size=n, p=table / 65536 if kind == "typical" else None).astype(
            np.int32
        )
    payload = rangecoder.encode(symbols, table)
    assert len(payload) <= 1.01 * frequencies.ideal_bits(symbols, table) / 8 + 3
    assert not payload.endswith(b"\0")
    assert np.array_equal(rangecoder.decode(payload, n, table), symbols)


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=300))
def test_tables_always_sum_exactly_and_have_no_zero(values) -> None:
    table = frequencies.from_counts(values)
    assert int(table.sum(dtype=np.int64)) == 65536
    assert table.min() >= 1
    assert table.max() <= 63488
