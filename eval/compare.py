"""Curves against curves: Bjontegaard deltas on the shared range, and a table at equal rates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eval.metrics import NAMES
from eval.rows import OURS, RATES_BPP, complete

Points = list[tuple[float, float]]  # (bpp, value), bpp rising
# Bjontegaard's integral needs a curve that rises; below this share of the two curves' whole range
# their overlap says nothing of the curves.
MIN_OVERLAP = 0.05
MIN_POINTS = 3


def frontier(points: Points, *, is_higher_better: bool) -> Points:
    """Leave out points that cost more bits for no better value, so that the curve is monotone."""
    kept: Points = []
    for bpp, value in sorted(points):
        gain = (value - kept[-1][1]) * (1 if is_higher_better else -1) if kept else math.inf
        if gain > 0 and (not kept or bpp > kept[-1][0]):
            kept.append((bpp, value))
    return kept


def bd(ours: Points, theirs: Points, *, is_higher_better: bool) -> dict[str, Any]:
    """Bjontegaard deltas of ours against another codec, by the package bjontegaard with PCHIP.

    Both are means over the range that the two curves share, over quality for the rate and over the
    logarithm of the rate for the quality (Bjontegaard, VCEG-M33, 2001).

    Returns:
        "bd_rate_percent": the bits that ours needs more (negative: fewer) at equal quality, or null
        and in "refused" the reason; "from", "to": the range of the metric that both share;
        "bd_metric": how far ours lies above at equal rate, or null and in "metric_refused" why.
    """
    ours = frontier(ours, is_higher_better=is_higher_better)
    theirs = frontier(theirs, is_higher_better=is_higher_better)
    found: dict[str, Any] = {"bd_rate_percent": None, "from": None, "to": None, "bd_metric": None}
    found["refused"] = _refusal(ours, theirs, axis=1)
    if found["refused"] is None:
        found["from"], found["to"] = (round(value, 6) for value in _shared(ours, theirs, axis=1))
        found["bd_rate_percent"] = _delta("bd_rate", ours, theirs, is_higher_better)
    found["metric_refused"] = _refusal(ours, theirs, axis=0)
    if found["metric_refused"] is None:
        found["bd_metric"] = _delta("bd_psnr", ours, theirs, is_higher_better)
    return found


def _delta(function: str, ours: Points, theirs: Points, is_higher_better: bool) -> float:
    import bjontegaard  # type: ignore[import-untyped]

    sign = 1 if is_higher_better else -1  # it wants a quality that rises with the rate
    arguments = []
    for points in (theirs, ours):
        arguments += [[bpp for bpp, _ in points], [sign * value for _, value in points]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = getattr(bjontegaard, function)(
            *arguments, method="pchip", require_matching_points=False, min_overlap=0
        )
    return round(float(value) * (sign if function == "bd_psnr" else 1), 6)


def _shared(ours: Points, theirs: Points, axis: int) -> tuple[float, float]:
    ends = [sorted(point[axis] for point in points) for points in (ours, theirs)]
    return max(ends[0][0], ends[1][0]), min(ends[0][-1], ends[1][-1])


def _refusal(ours: Points, theirs: Points, axis: int) -> str | None:
    if min(len(ours), len(theirs)) < MIN_POINTS:
        return f"fewer than {MIN_POINTS} points on a monotone curve"
    low, high = _shared(ours, theirs, axis)
    ends = [point[axis] for points in (ours, theirs) for point in points]
    if high - low < MIN_OVERLAP * (max(ends) - min(ends)):
        mine, other = ([point[axis] for point in points] for points in (ours, theirs))
        return (
            f"no overlap: ours {min(mine):.4g} to {max(mine):.4g}, "
            f"theirs {min(other):.4g} to {max(other):.4g}"
        )
    return None


def at_rate(points: Points, bpp: float) -> float | None:
    """Read a curve off at a rate, linearly in the logarithm of the rate; None outside its range."""
    if not points or not points[0][0] <= bpp <= points[-1][0]:
        return None
    rates, values = zip(*points, strict=True)
    return round(float(np.interp(math.log(bpp), np.log(rates), values)), 6)


def compare(
    summary: Sequence[Mapping[str, Any]], images: int, reference: str = OURS
) -> dict[str, Any]:
    """Compare the reference with every other codec of a run.

    Args:
        summary: from `rows.summarise`.
        images: number of images in the run.
        reference: whose curve the others are held against.

    Returns:
        "reference"; "bd": an object per codec and metric with "codec", "metric" and what `bd`
        returns; "equal_bpp": "rates_bpp", the reference's mean rates (else those of `RATES_BPP`),
        and "metrics": by metric and codec the values there, null outside a codec's range.
    """
    by_metric = {
        metric: {
            codec: [(bpp, value) for bpp, value, _ in points]
            for codec, points in complete(summary, metric, images).items()
        }
        for metric in NAMES
    }
    by_metric = {metric: found for metric, found in by_metric.items() if found}
    rates = [e["bpp"]["mean"] for e in summary if e["codec"] == reference] or list(RATES_BPP)
    deltas = [
        {
            "codec": codec,
            "metric": metric,
            **bd(found[reference], points, is_higher_better=NAMES[metric]),
        }
        for metric, found in by_metric.items()
        if reference in found
        for codec, points in found.items()
        if codec != reference
    ]
    return {
        "reference": reference,
        "bd": deltas,
        "equal_bpp": {
            "rates_bpp": rates,
            "metrics": {
                metric: {
                    codec: [at_rate(points, rate) for rate in rates]
                    for codec, points in found.items()
                }
                for metric, found in by_metric.items()
            },
        },
    }
