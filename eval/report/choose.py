"""What the viewer can show: per image and tier our picture and each codec's nearest in size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from eval import plots
from eval.themes import HIGHER_IS_BETTER, label

MAX_FALLBACK_TIERS = 3
DIGITS = {"psnr_db": 2, "fid": 2}  # after the point; 4 for others


def nearest(rows: Iterable[Mapping[str, Any]], size_bytes: int) -> Mapping[str, Any] | None:
    """Choose the row whose file is nearest in size; of two as near the smaller file."""
    return min(
        rows,
        key=lambda row: (abs(row["size_bytes"] - size_bytes), row["size_bytes"], row["point"]),
        default=None,
    )


def tiers_of(results: Mapping[str, Any], ours: str, asked: Sequence[int]) -> list[int]:
    """Choose the tiers to show: those asked for, or where none was measured a few that were."""
    measured = sorted({row["point"] for row in results["rows"] if row["codec"] == ours})
    found = [tier for tier in measured if tier in set(asked)]
    if found or len(measured) <= MAX_FALLBACK_TIERS:
        return found or measured
    return [measured[0], measured[len(measured) // 2], measured[-1]]


def number(value: Any) -> float | None:
    """Return a figure, or None for what is none: JSON knows neither NaN nor infinity."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def data(
    results: Mapping[str, Any],
    ours: str,
    asked: Sequence[int],
    add: Callable[[str], int | None],
) -> dict[str, Any]:
    """Collect what the page's scripts need; names become numbers wherever they would be keys.

    Args:
        results: what results.json holds.
        ours: name of our curve.
        asked: tiers to show.
        add: takes a picture's path below the results folder into the page and gives its number
            there, or None where there is no such picture.
    """
    found = sorted(results["rows"], key=lambda row: row["codec"] != ours)  # ours first
    codecs = list(dict.fromkeys(row["codec"] for row in found))
    names = list(dict.fromkeys(name for row in found for name in row["metrics"]))
    images = list(dict.fromkeys(row["image"] for row in results["rows"]))
    rows = sorted(found, key=lambda row: (images.index(row["image"]), codecs.index(row["codec"])))
    tiers = tiers_of(results, ours, asked)
    at = {id(row): index for index, row in enumerate(rows)}
    by_image: dict[str, list[Mapping[str, Any]]] = {name: [] for name in images}
    for row in rows:
        by_image[row["image"]].append(row)
    return {
        "ours": codecs.index(ours) if ours in codecs else None,
        "codecs": codecs,
        "metrics": [
            {
                "name": name,
                "label": label(name),
                "digits": DIGITS.get(name, 4),
                "isHigherBetter": name in HIGHER_IS_BETTER,
                "spots": spots(results, name),
            }
            for name in names
        ],
        "tiers": tiers,
        "images": [
            {
                "name": name,
                "width": mine[0]["width_px"],
                "height": mine[0]["height_px"],
                "original": add(f"pictures/{name}/original.webp"),
                "tiers": [_sides(mine, ours, tier, codecs, at, add) for tier in tiers],
            }
            for name, mine in by_image.items()
        ],
        "rows": [
            [
                images.index(row["image"]),
                codecs.index(row["codec"]),
                row["point"],
                row["setting"],
                row["size_bytes"],
                number(row["bpp"]),
                [number(row["metrics"].get(name)) for name in names],
            ]
            for row in rows
        ],
    }


def _sides(
    rows: Sequence[Mapping[str, Any]],
    ours: str,
    tier: int,
    codecs: Sequence[str],
    at: Mapping[int, int],
    add: Callable[[str], int | None],
) -> list[list[int]]:
    """The pictures to choose from at a tier: [row, picture], ours and each codec's nearest."""
    mine = next((row for row in rows if row["codec"] == ours and row["point"] == tier), None)
    if mine is None:
        return []
    found = []
    for codec in codecs:
        shown = [row for row in rows if row["codec"] == codec and row["picture"]]
        row = mine if codec == ours else nearest(shown, mine["size_bytes"])
        picture = add(row["picture"]) if row is not None and row["picture"] else None
        if picture is not None:
            found.append([at[id(row)], picture])
    return found


def spots(results: Mapping[str, Any], metric: str) -> list[list[str | float | int]]:
    """Points of a figure, to tell them to who points at them: curve, point, bpp, value."""
    return [
        [codec, point, bpp, value]
        for codec, found in plots.curves(results, metric).items()
        for bpp, value, point in found
    ]
