"""The largest tier that fits is found, and few are made on the way."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqcodec import codec
from vqcodec.errors import TargetError
from vqcodec.inspection import describe
from vqcodec.packs import store
from vqcodec.ratecontrol import largest_within


class Maker:
    """Makes files of given sizes and remembers for which tiers."""

    def __init__(self, sizes: dict[int, int]) -> None:
        self.sizes, self.made = sizes, []

    def __call__(self, tier: int) -> bytes:
        assert tier not in self.made, "each tier once"
        self.made.append(tier)
        return bytes(self.sizes[tier])


@given(
    st.lists(st.integers(1, 2000), min_size=1, max_size=12, unique=True).map(sorted),
    st.integers(0, 2200),
    st.sampled_from([0, 3, 400, math.inf]),
)
def test_the_largest_that_fits_is_taken(sizes, target, slack) -> None:
    make = Maker({2 * n + 1: size for n, size in enumerate(sizes)})
    tiers = list(make.sizes)

    def at_most(tier: int) -> float:
        return make.sizes[tier] + slack

    fitting = [size for size in sizes if size <= target]
    if not fitting:
        with pytest.raises(TargetError) as caught:
            largest_within(target, tiers, make, at_most)
        assert caught.value.details == {"expected": target, "found": sizes[0]}
        assert set(make.made) <= set(tiers)
        return
    assert len(largest_within(target, tiers, make, at_most)) == max(fitting)
    assert len(make.made) <= 6


def test_a_tier_or_two_are_made_where_the_bound_is_near() -> None:
    sizes = {tier: 100 * tier for tier in range(1, 13)}
    for target, made in ((650, [7, 6]), (705, [8, 7]), (1300, [12]), (699, [7, 6])):
        make = Maker(sizes)
        largest_within(target, list(sizes), make, lambda tier: 100 * tier + 5)
        assert make.made == made, target
    make = Maker(sizes)
    with pytest.raises(TargetError, match=r"^tier 1 takes 100 bytes, more than the target of 99"):
        largest_within(99, list(sizes), make, lambda tier: 100 * tier)
    assert make.made[-1] == 1


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(90, 120, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        *[("tiny", coding) for coding in ("auto", "table", "fixed")],
        *[("tiny-context", coding) for coding in ("auto", "context")],
    ],
)
@pytest.mark.parametrize("n_packets", [1, 4])
def test_the_codec_meets_a_target(tiny_pack: Path, pixels, name, coding, n_packets) -> None:
    options = {"model": tiny_pack.with_name(name), "coding": coding, "n_packets": n_packets}
    options["rdo"] = 0  # random words at a price do not even roughly grow with the tier
    last = 9 if name == "tiny" else 6
    files = {tier: codec.encode(pixels, tier=tier, **options) for tier in range(1, last + 1)}
    for target in (len(files[1]), len(files[4]), len(files[5]) - 1, len(files[last]), 10**9):
        found = codec.encode(pixels, target_bytes=target, **options)
        tier = describe(found).tier
        assert found == files[tier]
        assert len(found) <= target
        # Random tables do not always make files grow with the tier; the next one is too large.
        assert tier == last or len(files[tier + 1]) > target
    if coding in ("auto", "fixed"):
        assert describe(codec.encode(pixels, target_bytes=len(files[6]), **options)).tier == 6
    with pytest.raises(TargetError, match="tier 1 takes"):
        codec.encode(pixels, target_bytes=len(files[1]) - 1, **options)


def test_fixed_coding_makes_one_tier(tiny_pack: Path, pixels, monkeypatch) -> None:
    made: list[int] = []
    nets = codec.load_nets(store.load(tiny_pack), "cpu", None)
    to_indices = nets.to_indices
    monkeypatch.setattr(codec, "load_nets", lambda *_: nets)

    def watched(frame: np.ndarray, tier: int, progress: object) -> np.ndarray:
        made.append(tier)
        return to_indices(frame, tier)

    monkeypatch.setattr(nets, "to_indices", watched)
    data = codec.encode(pixels, target_bytes=50, model=tiny_pack, coding="fixed")
    assert made == [describe(data).tier]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tier": 3, "target_bytes": 500}, "give one of them"),
        ({"target_bytes": 0}, "target_bytes is 0"),
        ({"target_bytes": -1}, "target_bytes is -1"),
        ({"target_bytes": math.nan}, "target_bytes is nan"),
    ],
)
def test_wrong_targets_are_the_callers_mistake(pixels, options, match) -> None:
    with pytest.raises(ValueError, match=match):
        codec.encode(pixels, **options)
