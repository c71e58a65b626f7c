"""Other codecs' measured files, to read their quality off at the size of one of ours.

An anchors file is tab-separated with the columns codec, image, bytes, lpips (others are ignored)
after comment lines that begin with `#`: one row per file that a codec really wrote.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np


class Anchors:
    """LPIPS over file size of one codec, per image.

    Args:
        path: the anchors file.
        codec: its name in the first column, such as "vvc".

    Raises:
        ValueError: the file has no row for that codec.
    """

    def __init__(self, path: Path, codec: str) -> None:
        self.codec = codec
        with path.open(encoding="utf-8", newline="") as file:
            lines = (line for line in file if not line.startswith("#"))
            rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["codec"] == codec]
        if not rows:
            raise ValueError(f"{path} has no rows for codec '{codec}'")
        self._points: dict[str, dict[int, float]] = {}
        for row in rows:
            self._points.setdefault(row["image"], {})[int(row["bytes"])] = float(row["lpips"])

    def lpips_at(self, image: str, size_bytes: int) -> float | None:
        """Read off the codec's LPIPS at a file size, linearly in the logarithm of the size.

        Below the codec's smallest file its LPIPS there is taken (it could not be better on fewer
        bytes), above its largest one the last segment is continued; so neither end flatters us.

        Args:
            image: name without suffix, such as "kodim01".
            size_bytes: a file's size.

        Returns:
            LPIPS, or None for an image that was not measured.
        """
        points = sorted(self._points.get(image, {}).items())
        if not points:
            return None
        at = math.log(size_bytes)
        sizes = [math.log(size) for size, _ in points]
        values = [value for _, value in points]
        if at <= sizes[-1] or len(points) == 1:
            return float(np.interp(at, sizes, values))
        slope = (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
        return values[-1] + slope * (at - sizes[-1])
