"""Dealing positions to packets."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.bitstream.layout import PACKET_LAYOUTS
from vqcodec.bitstream.packets import Header
from vqcodec.indices.scan import packet_map, packet_positions


@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (32, 48), (5, 3)])
def test_packets_partition_the_map_in_raster_order(count, step, shape) -> None:
    positions = packet_positions(*shape, count, step)
    assert len(positions) == count
    assert sorted(np.concatenate(positions).tolist()) == list(range(shape[0] * shape[1]))
    assert all((np.diff(part) > 0).all() for part in positions)


@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS)
def test_the_header_counts_positions_without_the_map(count, step) -> None:
    header = Header(1, "fixed", count, 0, 16 * 37 - 3, 16 * 300)
    lengths = [len(part) for part in packet_positions(300, 37, count, step)]
    assert [header.num_indices(index) for index in range(count)] == lengths


@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS[1:])
def test_a_lost_packet_leaves_every_hole_with_received_neighbours(count, step) -> None:
    packets = packet_map(40, 40, count, step)
    assert (packets[:, 1:] != packets[:, :-1]).all()
    assert (packets[1:] != packets[:-1]).all()
    if count >= 4:
        assert (packets[1:, 1:] != packets[:-1, :-1]).all()
        assert (packets[1:, :-1] != packets[:-1, 1:]).all()
