"""Coding mode "context": any model, map and layout survives the journey; packets stand alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.entropy.models import random_model
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import PACKET_LAYOUTS, STRIDES, TIERS
from vqcodec.bitstream.packets import Header
from vqcodec.entropy.rangecoder import CellDecoder
from vqcodec.indices.scan import packet_map
from vqcodec.indices.waves import Walk
from vqcodec.inspection import describe
from vqcodec.payload import choose_index_map, decode_index_map, encode_index_map

headers = st.builds(
    Header,
    tier=st.sampled_from([1, 2, 3, 5]),
    coding=st.just("context"),
    n_packets=st.sampled_from([count for count, _ in PACKET_LAYOUTS]),
    weights_id=st.integers(0, 0xFFFF),
    width=st.integers(1, 400),
    height=st.integers(1, 300),
    stride=st.sampled_from(sorted(STRIDES)),
)
seeds = st.integers(0, 2**32)
FLAT = {size: np.full(size, 65536 // size, np.uint16) for size in TIERS.values()}


def map_of(header: Header, seed: int, kind: str) -> np.ndarray:
    shape, rng = (header.map_height, header.map_width), np.random.default_rng(seed)
    if kind == "constant":
        return np.full(shape, rng.integers(header.codebook_size), np.int32)
    return rng.integers(header.codebook_size, size=shape, dtype=np.int32)


@given(headers, seeds, st.sampled_from(["constant", "noise"]), st.sampled_from([5, 20, 60]))
def test_any_map_comes_back(header, seed, kind, scale) -> None:
    model = random_model(header.codebook_size, seed=seed, scale=scale)
    indices, table = map_of(header, seed, kind), FLAT[header.codebook_size]
    payloads = encode_index_map(indices, header, table, model)
    parsed = container.parse(container.write(header, payloads))
    assert np.array_equal(decode_index_map(parsed.payloads(), header, table, model), indices)
    info = describe(container.write(header, payloads))
    assert sum(packet.num_indices for packet in info.packets) == indices.size
    assert all(not payload.endswith(b"\0") for payload in payloads)


@given(headers, seeds)
@settings(max_examples=25)
def test_each_packet_decodes_alone(header, seed) -> None:
    model = random_model(header.codebook_size, seed=seed)
    indices, table = map_of(header, seed, "noise"), FLAT[header.codebook_size]
    payloads = encode_index_map(indices, header, table, model)
    packets = packet_map(*indices.shape, header.n_packets, header.row_step, header.block)
    for index in np.unique(packets)[:3]:
        walk = Walk(packets, model.offsets, model.size)
        decoder = CellDecoder(payloads[index], header.num_indices(int(index)))
        for place, packet in enumerate(walk.packets):
            if packet == index:
                span = slice(place, place + 1)
                walk.put(span, decoder.decode(model.rows(walk.neighbours(span))))
        assert np.array_equal(walk.index_map()[packets == index], indices[packets == index])
        # What was never put is still "unknown".
        assert (walk.index_map()[packets != index] == model.size).all()


@given(seeds, st.integers(1, 200), st.integers(1, 200), st.sampled_from(sorted(STRIDES)))
@settings(max_examples=25)
def test_chosen_maps_cost_what_their_cells_say(seed, width, height, stride) -> None:
    header, model = Header(2, "context", 1, 0, width, height, stride), random_model(16, seed=seed)
    bits, seen = 0.0, []

    def cheapest(positions: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        nonlocal bits
        seen.extend(positions.tolist())
        assert sizes.shape == (len(positions), 16)
        bits += float((24 - np.log2(sizes.max(axis=1))).sum())
        return sizes.argmax(axis=1).astype(np.int32)

    indices = choose_index_map(header, model, cheapest)
    assert sorted(seen) == list(range(indices.size))
    (payload,) = encode_index_map(indices, header, FLAT[16], model)
    assert len(payload) <= 1.01 * bits / 8 + 3
    assert np.array_equal(decode_index_map([payload], header, FLAT[16], model), indices)


def test_only_maps_of_one_packet_are_chosen() -> None:
    for header in (Header(1, "context", 2, 0, 9, 9), Header(1, "table", 1, 0, 9, 9)):
        with pytest.raises(ValueError, match="one packet"):
            choose_index_map(header, random_model(8), lambda positions, sizes: positions)


@pytest.mark.parametrize("model", [None, random_model(16)])
def test_a_model_that_does_not_fit_is_the_callers_mistake(model) -> None:
    header = Header(1, "context", 1, 0, 9, 9)
    with pytest.raises(ValueError, match="needs a context model"):
        encode_index_map(np.zeros((1, 1), np.int32), header, FLAT[8], model)
    with pytest.raises(ValueError, match="needs a context model"):
        decode_index_map([b"\1"], header, FLAT[8], model)


@pytest.mark.parametrize("index", [-1, 8])
def test_indices_outside_the_codebook_are_the_callers_mistake(index) -> None:
    header = Header(1, "context", 1, 0, 9, 9)
    with pytest.raises(ValueError, match="0 to 7"):
        encode_index_map(np.full((1, 1), index, np.int32), header, FLAT[8], random_model(8))
