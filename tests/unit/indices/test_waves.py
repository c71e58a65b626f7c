"""Order and neighbours of coding mode "context"."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.bitstream.layout import CONTEXT_BLOCK, PACKET_LAYOUTS
from vqcodec.bitstream.packets import Header
from vqcodec.indices.scan import packet_map
from vqcodec.indices.waves import Walk

OFFSETS = np.array([(0, -1), (-1, 1), (-1, -12), (-12, 12), (-7, 12), (-2, 3), (0, -12)], np.int64)
SHAPES = [(1, 1), (1, 9), (9, 1), (5, 7), (14, 30)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS[::3])
def test_positions_are_visited_wave_by_wave_packet_by_packet_row_by_row(shape, count, step) -> None:
    packets = packet_map(*shape, count, step, CONTEXT_BLOCK)
    walk = Walk(packets, OFFSETS, 8)
    rows, columns = np.divmod(walk.positions, shape[1])
    keys = list(zip(columns + 2 * rows, walk.packets, rows, strict=True))
    assert keys == sorted(keys)
    assert sorted(walk.positions.tolist()) == list(range(shape[0] * shape[1]))
    assert np.array_equal(walk.packets, packets.ravel()[walk.positions])
    for at_most in (1, 3, 1000):
        spans = list(walk.spans(at_most))
        assert [0, *(span.stop for span in spans)] == [*(span.start for span in spans), len(keys)]
        for span in spans:
            assert 0 < span.stop - span.start <= at_most
            assert len(set((columns + 2 * rows)[span])) == 1
        assert sum(s.stop - s.start for s in walk.spans(at_most, is_known=True)) == len(keys)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS[::3])
def test_neighbours_are_those_of_the_definition(shape, count, step) -> None:
    packets = packet_map(*shape, count, step, CONTEXT_BLOCK)
    indices = np.random.default_rng(0).integers(8, size=shape).astype(np.int32)
    walk = Walk(packets, OFFSETS, 8)
    everything = slice(0, indices.size)
    walk.put(everything, indices.ravel()[walk.positions])
    for place, seen in zip(walk.positions, walk.neighbours(everything), strict=True):
        row, column = divmod(int(place), shape[1])
        for (dy, dx), value in zip(OFFSETS.tolist(), seen.tolist(), strict=True):
            r, c = row + dy, column + dx
            if not (0 <= r < shape[0] and 0 <= c < shape[1]):
                assert value == 9
            elif packets[r, c] != packets[row, column]:
                assert value == 8
            else:
                assert value == indices[r, c]
    assert np.array_equal(walk.index_map(), indices)


def test_what_a_wave_sees_was_written_before_it() -> None:
    walk = Walk(np.zeros((14, 30), np.int32), OFFSETS, 8)
    for span in walk.spans(1000):
        assert not (walk.neighbours(span) == 8).any()
        walk.put(span, np.zeros(span.stop - span.start, np.int32))


@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1), (300, 37), (7, 1000), (2, 4), (3, 5)])
def test_the_header_counts_positions_of_dealt_blocks(count, step, shape) -> None:
    header = Header(1, "context", count, 0, 16 * shape[1], 16 * shape[0] - 3)
    assert header.block == CONTEXT_BLOCK
    packets = packet_map(*shape, count, step, CONTEXT_BLOCK)
    lengths = np.bincount(packets.ravel(), minlength=count).tolist()
    assert [header.num_indices(index) for index in range(count)] == lengths
    corner = packets[: CONTEXT_BLOCK[0], : CONTEXT_BLOCK[1]]
    assert (corner == 0).all()
