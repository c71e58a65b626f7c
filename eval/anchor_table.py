"""Figures of codecs that are not at hand, from a table of what they were measured to do.

The table is tab-separated with the columns codec, image, target_bpp, setting, bytes, bpp, lpips,
ms_ssim, psnr, can_reach (others are ignored) after comment lines that begin with `#`: one line per
file that a codec really wrote; can_reach is 0 where that file is larger than the rate asked for.
"""

from __future__ import annotations

import csv
from collections.abc import Container
from pathlib import Path

from eval.rows import RATES_BPP, Row

_METRICS = {"psnr": "psnr_db", "ms_ssim": "ms_ssim", "lpips": "lpips_alex"}


class AnchorTableError(Exception):
    """The table cannot be used; the message is one line."""


def rows(path: Path, codec: str, sizes: dict[str, tuple[int, int]]) -> list[Row]:
    """Read a codec's figures on the images of a run.

    Args:
        path: the table.
        codec: its name in the first column, such as "vvc".
        sizes: height and width of the images asked for, by name; what the table has of others is
            left out.

    Returns:
        Rows without files or pictures, by image and point; none where the table has none.

    Raises:
        AnchorTableError: the table lacks a column or holds something else than numbers.
    """
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        for number, entry in enumerate(csv.DictReader(lines, delimiter="\t"), start=1):
            try:
                if entry["codec"] == codec and entry["image"] in sizes and int(entry["can_reach"]):
                    found.append(_row(entry, *sizes[entry["image"]]))
            except (KeyError, TypeError, ValueError) as error:
                raise AnchorTableError(f"{path}: entry {number}: {error!r}") from error
    return sorted(found, key=lambda row: (row.image, row.point))


def _row(entry: dict[str, str], height: int, width: int) -> Row:
    size_bytes, target = int(entry["bytes"]), float(entry["target_bpp"])
    point = min(range(len(RATES_BPP)), key=lambda index: abs(RATES_BPP[index] - target)) + 1
    return Row(
        image=entry["image"],
        height_px=height,
        width_px=width,
        codec=entry["codec"],
        point=point,
        setting=entry["setting"],
        size_bytes=size_bytes,
        bpp=round(8 * size_bytes / (height * width), 6),
        metrics={name: float(entry[column]) for column, name in _METRICS.items()},
    )


def codecs(path: Path, names: Container[str]) -> list[str]:
    """List the codecs of a table whose name without scale ("vvc" of "vvc/2") is in `names`."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        found = dict.fromkeys(entry.get("codec") for entry in csv.DictReader(lines, delimiter="\t"))
    return [codec for codec in found if codec and codec.partition("/")[0] in names]
