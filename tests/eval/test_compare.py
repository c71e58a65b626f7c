"""Curves against curves, on curves whose answer is known."""

from __future__ import annotations

import math

import pytest

from eval.compare import at_rate, bd, compare, frontier
from eval.rows import complete

RATES = (0.01, 0.02, 0.03, 0.04)


def curve(rates: tuple[float, ...] = RATES, scale: float = 1.0) -> list[tuple[float, float]]:
    """Quality by the logarithm of the rate: PCHIP follows it exactly at equal ratios only."""
    return [(scale * rate, 10 + 5 * math.log10(rate / 0.01)) for rate in rates]


def summary(**points: list[tuple[float, float, int]]) -> list[dict]:
    """Summaries of codecs from (bpp, value, n of 3 images)."""
    return [
        {
            "codec": codec,
            "point": number,
            "images": n,
            "bpp": {"mean": bpp},
            "metrics": {"psnr_db": {"mean": value, "n": n}},
        }
        for codec, entries in points.items()
        for number, (bpp, value, n) in enumerate(entries, start=1)
    ]


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25])
def test_a_curve_of_scaled_rates_has_that_bd_rate(scale: float) -> None:
    found = bd(curve(scale=scale), curve(), is_higher_better=True)
    assert found["bd_rate_percent"] == pytest.approx(100 * (scale - 1), abs=1e-3)
    assert found["refused"] is None
    assert (found["from"], found["to"]) == (10, pytest.approx(10 + 5 * math.log10(4)))


def test_a_curve_shifted_in_quality_has_that_bd_metric() -> None:
    ours = [(rate, value + 0.75) for rate, value in curve()]
    assert bd(ours, curve(), is_higher_better=True)["bd_metric"] == pytest.approx(0.75)


def test_where_lower_is_better_fewer_bits_are_still_negative() -> None:
    ours = [(0.5 * rate, -value) for rate, value in curve()]
    theirs = [(rate, -value) for rate, value in curve()]
    found = bd(ours, theirs, is_higher_better=False)
    assert found["bd_rate_percent"] == pytest.approx(-50, abs=1e-3)
    assert found["bd_metric"] < 0  # a distance that lies lower


def test_only_the_shared_range_counts() -> None:
    # The curves agree where both are; far off, each does what it likes.
    ours = [(0.001, 1.0), *curve()]
    theirs = [*curve(), (0.5, 30.0)]
    found = bd(ours, theirs, is_higher_better=True)
    assert (found["from"], found["to"]) == (10, pytest.approx(10 + 5 * math.log10(4)))
    assert abs(found["bd_rate_percent"]) < 5


def test_curves_that_share_nothing_are_refused_with_both_ranges() -> None:
    ours = [(rate, value + 50) for rate, value in curve()]
    found = bd(ours, curve(), is_higher_better=True)
    assert found["bd_rate_percent"] is None
    assert found["refused"] == "no overlap: ours 60 to 63.01, theirs 10 to 13.01"
    assert found["bd_metric"] == pytest.approx(50)  # at equal rate they can be compared
    found = bd(curve(scale=100), curve(), is_higher_better=True)
    assert found["metric_refused"] == "no overlap: ours 1 to 4, theirs 0.01 to 0.04"
    assert found["bd_rate_percent"] == pytest.approx(9900, rel=1e-3)


def test_two_points_are_no_curve() -> None:
    found = bd(curve(RATES[:2]), curve(), is_higher_better=True)
    assert "fewer than 3 points" in found["refused"]


def test_points_that_cost_more_for_nothing_are_left_out() -> None:
    points = [(0.01, 5.0), (0.02, 5.0), (0.03, 4.0), (0.03, 7.0), (0.04, 8.0)]
    assert frontier(points, is_higher_better=True) == [(0.01, 5.0), (0.03, 7.0), (0.04, 8.0)]
    assert frontier(points, is_higher_better=False) == [(0.01, 5.0), (0.03, 4.0)]


def test_a_mean_over_some_of_the_images_is_no_point() -> None:
    found = complete(summary(a=[(0.1, 20, 3), (0.2, 30, 2)], b=[(0.1, 9, 1)]), "psnr_db", 3)
    assert found == {"a": [(0.1, 20, 1)]}


def test_a_curve_is_read_off_between_its_ends_only() -> None:
    points = [(0.01, 4.0), (0.04, 2.0)]
    assert at_rate(points, 0.02) == pytest.approx(3)  # halfway in the logarithm
    assert at_rate(points, 0.01) == 4
    assert at_rate(points, 0.009) is None
    assert at_rate(points, 0.041) is None


def test_a_run_is_compared_at_our_own_rates() -> None:
    ours = [(rate, value, 3) for rate, value in curve(scale=0.5)]
    theirs = [(rate, value, 3) for rate, value in curve()]
    found = compare(summary(vqcodec=ours, avif=theirs), images=3)
    assert found["equal_bpp"]["rates_bpp"] == [bpp for bpp, _, _ in ours]
    assert found["equal_bpp"]["metrics"]["psnr_db"]["avif"][0] is None
    assert found["equal_bpp"]["metrics"]["psnr_db"]["avif"][1] == 10
    (delta,) = found["bd"]
    assert (delta["codec"], delta["metric"]) == ("avif", "psnr_db")
    assert delta["bd_rate_percent"] == pytest.approx(-50, abs=1e-3)


def test_without_ours_there_is_nothing_to_compare_with() -> None:
    theirs = [(rate, value, 3) for rate, value in curve()]
    found = compare(summary(avif=theirs), images=3)
    assert found["bd"] == []
    assert found["equal_bpp"]["rates_bpp"][0] == 0.0117
