"""The published curves: where they come from is said, and they make sense."""

from __future__ import annotations

from itertools import pairwise

import pytest

from eval import published
from eval.metrics import NAMES

CURVES = [
    pytest.param(curve, id=f"{dataset} {curve.name}")
    for dataset in published.datasets()
    for curve in published.curves(dataset)
]


def test_the_paper_is_there_on_both_sets() -> None:
    for dataset in ("kodak", "clic"):
        assert any("Mao" in curve.name for curve in published.curves(dataset))
    assert published.curves("my holiday") == []


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_has_a_source_a_mark_and_known_metrics(curve: published.Curve) -> None:
    assert curve.mark in published.MARKS
    assert "/" in curve.source or "arXiv" in curve.source
    assert curve.points
    assert curve.points.keys() <= NAMES.keys()


@pytest.mark.parametrize("curve", CURVES)
def test_more_bits_never_make_a_published_curve_worse(curve: published.Curve) -> None:
    for metric, points in curve.points.items():
        for (rate, value), (next_rate, next_value) in pairwise(points):
            assert 0 < rate < next_rate < 0.06
            assert (next_value >= value) if NAMES[metric] else (next_value <= value)
