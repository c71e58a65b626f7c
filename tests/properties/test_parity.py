"""Any packets that are as many as the data packets give the whole index map; fewer, what came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import parity as reference
from tests.unit.entropy.models import random_model
from vqcodec import fec
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAX_CODEWORD, PACKET_HEAD_BYTES, PACKET_LAYOUTS, STRIDES
from vqcodec.bitstream.packets import Header
from vqcodec.entropy import fixedlength, frequencies
from vqcodec.inspection import describe
from vqcodec.payload import decode_index_map, encode_index_map

headers = st.builds(
    Header,
    tier=st.sampled_from([1, 2, 5]),
    coding=st.sampled_from(["fixed", "table", "context"]),
    n_packets=st.sampled_from([count for count, _ in PACKET_LAYOUTS if 1 < count < 256]),
    weights_id=st.integers(0, 0xFFFF),
    width=st.integers(1, 400),
    height=st.integers(1, 300),
    stride=st.sampled_from(sorted(STRIDES)),
)
seeds = st.integers(0, 2**32)


def parts_of(header: Header, seed: int, kind: str) -> tuple:
    """Index map, table, model and payloads."""
    rng, size = np.random.default_rng(seed), header.codebook_size
    shape = (header.map_height, header.map_width)
    table = frequencies.from_counts(rng.gamma(0.1, size=size))
    model = random_model(size, seed=seed) if header.coding == "context" else None
    indices = rng.integers(size, size=shape, dtype=np.int32)
    if kind == "commonest":  # in coding mode "table" some payloads are empty then
        indices = np.where(rng.random(shape) < 0.02, indices, table.argmax()).astype(np.int32)
    elif kind == "zero":
        indices = np.zeros(shape, np.int32)
    return indices, table, model, encode_index_map(indices, header, table, model)


@given(headers, st.floats(0, 1), seeds, st.sampled_from(["noise", "commonest", "zero"]), st.data())
def test_any_subset_that_is_large_enough_gives_the_exact_map(
    header, share, seed, kind, data
) -> None:
    n_parity = 1 + int(share * (MAX_CODEWORD - header.n_packets - 1))
    indices, table, model, payloads = parts_of(header, seed, kind)
    parity = fec.protect(payloads, n_parity)
    parsed = container.parse(container.write(header, payloads, parity))
    packets = {packet.index: packet.payload for packet in parsed.packets if packet.is_intact}
    assert all(p.size_bytes - len(p.payload) == PACKET_HEAD_BYTES == 12 for p in parsed.packets)
    assert all(len(row) == 1 + max(map(len, payloads)) for row in parity)
    info = describe(container.write(header, payloads, parity))
    assert info.n_parity == parsed.n_parity == n_parity
    assert info.is_whole

    order = np.random.default_rng(seed).permutation(header.n_packets + n_parity).tolist()
    n_intact = data.draw(st.integers(0, len(order)), label="intact")
    kept = {index: packets[index] for index in order[:n_intact]}
    found = fec.recover(header, kept)
    if n_intact >= header.n_packets:
        assert found == dict(enumerate(payloads))
        ordered = [found[index] for index in range(header.n_packets)]
        assert np.array_equal(decode_index_map(ordered, header, table, model), indices)
    else:
        assert found == {index: row for index, row in kept.items() if index < header.n_packets}


@given(
    st.builds(replace, headers, n_packets=st.sampled_from([2, 3, 4, 6])),
    st.integers(1, 5),
    seeds,
    st.integers(0, 255),
)
def test_both_decoders_agree_on_any_packets_hostile_ones_included(
    header, n_parity, seed, change
) -> None:
    header = replace(header, width=1 + header.width % 90, height=1 + header.height % 90)
    payloads = parts_of(header, seed, "noise")[3]
    rng = np.random.default_rng(seed)
    packets = dict(enumerate([*payloads, *fec.protect(payloads, n_parity)]))
    for index in rng.permutation(len(packets))[: rng.integers(0, n_parity + 2)].tolist():
        del packets[index]
    if packets and change:  # a byte of one packet, its first or a later one, or its length
        index = int(rng.choice(list(packets)))
        row = bytearray(packets[index])
        if row and change & 1:
            row[0 if change & 2 else int(rng.integers(len(row)))] ^= change
        packets[index] = bytes(row) + bytes([change] if change & 4 else [])
    counts = [header.num_indices(index) for index in range(header.n_packets)]
    sizes = [
        fixedlength.payload_bytes(n, header.codebook_size)
        if header.coding == "fixed"
        else 3 * n + (n > 0)
        for n in counts
    ]
    coding = 0 if header.coding == "fixed" else 1
    fields = {"n_packets": header.n_packets, "coding": coding}
    assert fec.recover(header, packets) == reference.rebuild(fields, packets, sizes)
