"""The holes that the restorer learns with."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vqcodec.training.masks import LEAST, MOST, random_mask


@given(st.integers(0, 10**6), st.integers(1, 24), st.integers(1, 24))
def test_something_is_erased_and_something_is_left(seed: int, height: int, width: int) -> None:
    mask = random_mask(np.random.default_rng(seed), height, width)
    assert (mask.shape, mask.dtype) == ((height, width), np.bool_)
    assert mask.any()
    assert mask.size == 1 or not mask.all()


def test_the_same_chance_gives_the_same_holes() -> None:
    one, two = (random_mask(np.random.default_rng(8), 12, 15) for _ in range(2))
    assert np.array_equal(one, two)


def test_shares_are_spread_between_their_bounds() -> None:
    random = np.random.default_rng(0)
    shares = np.array([random_mask(random, 40, 40).mean() for _ in range(600)])
    # Packets are lost whole and positions by chance: a share may lie a little beyond.
    assert LEAST - 0.04 < shares.min()
    assert shares.max() < MOST + 0.01
    assert (shares < 0.15).sum() > 30
    assert (shares > 0.8).sum() > 30
    assert 0.5 < (shares <= 0.5).mean() < 0.75


def test_holes_are_scattered_or_hang_together() -> None:
    random = np.random.default_rng(1)
    masks = [random_mask(random, 30, 30) for _ in range(200)]
    # How often a position is as its right neighbour is, beside what chance makes of it.
    alike = np.array([(mask[:, 1:] == mask[:, :-1]).mean() for mask in masks])
    chance = np.array([mask.mean() ** 2 + (1 - mask.mean()) ** 2 for mask in masks])
    assert (np.abs(alike - chance) < 0.05).sum() > 40, "scattered"
    assert (alike - chance > 0.2).sum() > 20, "bands and patches"
