"""What is measured: one row per image, codec and point of its curve, and their means."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Points = list[tuple[float, float, int]]  # mean bpp, mean value, point

SCHEMA = "vqcodec.eval.rd/2"

OURS = "vqcodec"
# What other codecs are asked for: the rates of the paper's nine tiers, log2(K) / 256 bpp. Another
# codec's point N aims at the N-th. Ours lie at rates of their own, and comparisons read curves off;
# the nine stay, so that what was measured of others stays valid whatever tiers a pack has.
RATES_BPP = tuple(round((tier + 2) / 256, 4) for tier in range(1, 10))


@dataclass(frozen=True)
class Row:
    """One image through one codec at one point.

    Attributes:
        image: the file's name without suffix.
        codec: name of the curve; "avif/2" is AVIF of the picture scaled down by two.
        point: ours is the tier; another codec's 1 to 9, the rate that it was asked for.
        setting: the codec's knob, in words.
        overhead_bytes: all of our file but the coded indices; None for others.
        sha256: of the coded file, the first 16 hexadecimal digits; None where only its figures are
            known.
        file: the coded file below the results folder, or None.
        picture: a copy of the decoded picture for showing, below the results folder, or None.
        metrics: figures by name; None where a metric is undefined on the image.
        times: seconds, "encode_s" and "decode_s".
    """

    image: str
    height_px: int
    width_px: int
    codec: str
    point: int
    setting: str
    size_bytes: int
    bpp: float
    overhead_bytes: int | None = None
    sha256: str | None = None
    file: str | None = None
    picture: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)


def _spread(values: list[float | None]) -> dict[str, Any] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {
        "mean": round(statistics.fmean(known), 6),
        "std": round(statistics.stdev(known), 6) if len(known) > 1 else None,
        "n": len(known),
    }


def _of_any_scale(rows: Sequence[Row]) -> list[Row]:
    """Make the curve "avif/any" of a codec that does not reach every rate at full size.

    Which scale reaches a rate hangs on the image, so that the mean curve of one scale may lack the
    low rates. This one has, for each image and point, the scale with the higher PSNR: what who has
    to meet the rate would send.
    """
    families: dict[str, dict[tuple[str, int], list[Row]]] = {}
    for row in rows:
        family = families.setdefault(row.codec.partition("/")[0], {})
        family.setdefault((row.image, row.point), []).append(row)
    return [
        replace(max(choices, key=_fidelity), codec=f"{family}/any")
        for family, points in families.items()
        if not all(any(row.codec == family for row in choices) for choices in points.values())
        for choices in points.values()
    ]


def _fidelity(row: Row) -> tuple[float, int]:
    """PSNR, infinite where the pictures are equal; the larger picture where it was not measured."""
    scale = row.codec.partition("/")[2]
    psnr = row.metrics.get("psnr_db", -math.inf)
    return math.inf if psnr is None else psnr, -int(scale) if scale.isdigit() else 0


def complete(summary: Iterable[Mapping[str, Any]], metric: str, images: int) -> dict[str, Points]:
    """Collect a metric's mean curves: only points that every image reached.

    A mean over the easy images alone would flatter a codec that cannot reach a rate on the others.
    Where a codec has a curve over any scale, those of one scale are left out.

    Args:
        summary: from `summarise`.
        metric: its name.
        images: number of images in the run.
    """
    found: dict[str, Points] = {}
    for entry in summary:
        value = entry["metrics"].get(metric)
        if value is not None and value["n"] == entry["images"] == images:
            spot = (entry["bpp"]["mean"], value["mean"], entry["point"])
            found.setdefault(entry["codec"], []).append(spot)
    return {
        codec: sorted(points)
        for codec, points in found.items()
        if not codec.partition("/")[2].isdigit() or f"{codec.partition('/')[0]}/any" not in found
    }


def summarise(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Mean and standard deviation per codec and point, over any scale too ("avif/any").

    Returns:
        One object per curve's point: "codec", "point", "images", then per figure {"mean", "std",
        "n"} (n rows had it; std is the sample's, null for one row; a figure that no row has is
        null): "size_bytes", "bpp", "overhead_bytes", "metrics" and "times" by name. In the order of
        the rows' codecs, then of points.
    """
    rows = list(rows)
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in [*rows, *_of_any_scale(rows)]:
        groups.setdefault((row.codec, row.point), []).append(row)
    order = {codec: number for number, codec in enumerate(dict.fromkeys(c for c, _ in groups))}
    out = []
    for (codec, point), group in sorted(groups.items(), key=lambda g: (order[g[0][0]], g[0][1])):
        names = dict.fromkeys(name for row in group for name in row.metrics)
        times = dict.fromkeys(name for row in group for name in row.times)
        out.append(
            {
                "codec": codec,
                "point": point,
                "images": len(group),
                **{
                    figure: _spread([getattr(row, figure) for row in group])
                    for figure in ("size_bytes", "bpp", "overhead_bytes")
                },
                "metrics": {n: _spread([row.metrics.get(n) for row in group]) for n in names},
                "times": {n: _spread([row.times.get(n) for row in group]) for n in times},
            }
        )
    return out


def as_json(row: Row) -> dict[str, Any]:
    """A row as the results file and the journal hold it."""
    return asdict(row)
