"""Neighbours' indices stand in for lost ones, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vqcodec.indices.concealment import copy_neighbours

MAPS = arrays.arrays(
    np.int32,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.integers(-1, 5),
).filter(lambda indices: (indices >= 0).any())


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([[5, -1, -1, 6]], [[5, 5, 6, 6]]),
        ([[1, -1, -1, -1, 2]], [[1, 1, 1, 2, 2]]),
        ([[3], [-1], [4]], [[3], [3], [4]]),
        ([[-1, -1, 7]], [[7, 7, 7]]),
        # A nearer one in the column goes before a farther one in the row.
        ([[0, 0, 8], [1, -1, -1]], [[0, 0, 8], [1, 1, 8]]),
    ],
)
def test_the_nearest_in_row_or_column_is_copied(given, wanted) -> None:
    assert copy_neighbours(np.array(given, np.int32)).tolist() == wanted


def test_of_equally_near_ones_left_goes_first_then_right_above_below() -> None:
    neighbours = {"left": (1, 0), "right": (1, 2), "above": (0, 1), "below": (2, 1)}
    indices = np.zeros((3, 3), np.int32)
    indices[1, 1] = -1
    for number, place in enumerate(neighbours.values(), 1):
        indices[place] = number
    for number, place in enumerate(neighbours.values(), 1):
        assert copy_neighbours(indices)[1, 1] == number
        indices[place] = -1


def test_what_was_filled_serves_where_row_and_column_are_empty() -> None:
    indices = np.full((3, 3), -1, np.int32)
    indices[0, 0], indices[2, 2] = 7, 8
    assert copy_neighbours(indices).tolist() == [[7, 7, 7], [7, 7, 8], [8, 8, 8]]


@given(MAPS)
def test_received_indices_stay_and_others_are_theirs(indices) -> None:
    before = indices.copy()
    filled = copy_neighbours(indices)
    assert np.array_equal(indices, before)
    assert filled.dtype == np.int32
    assert np.array_equal(filled[indices >= 0], indices[indices >= 0])
    assert np.isin(filled, indices[indices >= 0]).all()


def test_without_any_received_index_there_is_no_neighbour() -> None:
    with pytest.raises(ValueError, match="nothing was received"):
        copy_neighbours(np.full((2, 3), -1, np.int32))
