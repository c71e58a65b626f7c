"""Rate and quality: every image at every tier through a real file, rows kept, means printed."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from eval import images, metrics
from eval.anchors import Anchors

SCHEMA = "vqcodec.eval.rd/1"


@dataclass(frozen=True)
class Row:
    """One image at one tier. None where a metric is undefined or not at hand."""

    image: str
    height_px: int
    width_px: int
    tier: int
    coding: str
    size_bytes: int
    overhead_bytes: int
    bpp: float
    psnr_db: float | None
    ms_ssim: float | None
    lpips: float | None
    anchor_lpips: float | None
    encode_s: float
    decode_s: float

    def line(self) -> str:
        """Say the row in a line, for progress."""
        lpips = f", LPIPS {self.lpips:.3f}" if self.lpips is not None else ""
        return (
            f"{self.image} tier {self.tier}: {self.size_bytes:,} bytes, {self.bpp:.4f} bpp, "
            f"{self.coding}{lpips}, {self.encode_s:.2f} + {self.decode_s:.2f} s"
        )


# What a summary averages.
_FIGURES = (
    *("size_bytes", "overhead_bytes", "bpp"),
    *("psnr_db", "ms_ssim", "lpips", "anchor_lpips"),
    *("encode_s", "decode_s"),
)


class Meter:
    """Measures images with one model and one set of metrics.

    Args:
        model: a pack's name or folder; None takes the default.
        threads: for the networks; None leaves torch's choice.
        lpips: from `metrics.load_lpips`, or None.
        anchors: another codec's files to compare with, or None.
        keep: a folder for the coded files and decoded PNGs, or None.
    """

    def __init__(
        self,
        model: str | None = None,
        threads: int | None = None,
        lpips: metrics.Metric | None = None,
        anchors: Anchors | None = None,
        keep: Path | None = None,
    ) -> None:
        self._model = model
        self._threads = threads
        self._lpips = lpips
        self._anchors = anchors
        self._keep = keep

    def warm_up(self, tier: int) -> None:
        """Encode and decode a small picture, so that no row pays for loading the model."""
        data = vqcodec.encode(
            np.zeros((64, 64, 3), np.uint8), tier=tier, model=self._model, threads=self._threads
        )
        vqcodec.decode(data, model=self._model, threads=self._threads)

    def measure(self, name: str, pixels: NDArray[np.uint8], tier: int) -> Row:
        """Take one image through a file and back.

        Args:
            name: for the row, without suffix.
            pixels: (H, W, 3) uint8.
            tier: 1 to 9.
        """
        height, width = pixels.shape[:2]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(self._keep or scratch) / f"{name}-tier{tier}.vqc"
            start = time.perf_counter()
            data = vqcodec.encode(pixels, tier=tier, model=self._model, threads=self._threads)
            encode_s = time.perf_counter() - start
            path.write_bytes(data)
            size_bytes = path.stat().st_size
            data = path.read_bytes()
            start = time.perf_counter()
            decoded = vqcodec.decode(data, model=self._model, threads=self._threads)
            decode_s = time.perf_counter() - start
        if self._keep:
            Image.fromarray(decoded).save(self._keep / f"{name}-tier{tier}.png")
        told = vqcodec.describe(data)
        psnr = metrics.psnr(pixels, decoded)
        measurable = self._lpips and min(height, width) >= metrics.MIN_LPIPS_SIDE
        return Row(
            image=name,
            height_px=height,
            width_px=width,
            tier=tier,
            coding=told.coding,
            size_bytes=size_bytes,
            overhead_bytes=told.header_bytes,
            bpp=images.bits_per_pixel(size_bytes, height, width),
            psnr_db=psnr if math.isfinite(psnr) else None,
            ms_ssim=metrics.ms_ssim(pixels, decoded),
            lpips=self._lpips(pixels, decoded) if self._lpips and measurable else None,
            anchor_lpips=self._anchors.lpips_at(name, size_bytes) if self._anchors else None,
            encode_s=encode_s,
            decode_s=decode_s,
        )

    def sweep(
        self, paths: Sequence[Path], tiers: Sequence[int], report: Callable[[Row], None]
    ) -> list[Row]:
        """Measure every image at every tier; `report` is called with each row as it comes."""
        self.warm_up(tiers[0])
        rows = []
        for path in paths:
            pixels = images.read_rgb(path)
            for tier in tiers:
                rows.append(self.measure(path.stem, pixels, tier))
                report(rows[-1])
        return rows


def summarise(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Mean and standard deviation per tier.

    Returns:
        One object per tier, in order: "tier", "images", per figure {"mean", "std", "n"} (n rows had
        it; std is the sample's, null for one row; a figure that no row has is null), and "better":
        in how many images LPIPS is below the anchor's, null without anchors.
    """
    by_tier: dict[int, list[Row]] = {}
    for row in rows:
        by_tier.setdefault(row.tier, []).append(row)
    out = []
    for tier, group in sorted(by_tier.items()):
        summary: dict[str, Any] = {"tier": tier, "images": len(group)}
        for figure in _FIGURES:
            values = [v for row in group if (v := getattr(row, figure)) is not None]
            summary[figure] = {
                "mean": statistics.fmean(values),
                "std": statistics.stdev(values) if len(values) > 1 else None,
                "n": len(values),
            } if values else None  # fmt: skip
        pairs = [(r.lpips, r.anchor_lpips) for r in group if None not in (r.lpips, r.anchor_lpips)]
        summary["better"] = sum(a < b for a, b in pairs) if pairs else None
        out.append(summary)
    return out


def results(
    rows: Sequence[Row], settings: dict[str, Any], origin: dict[str, Any]
) -> dict[str, Any]:
    """Assemble the results file.

    Args:
        rows: from `Meter.sweep`.
        settings: what was asked for (folder, tiers, where LPIPS came from, anchors).
        origin: from `provenance.provenance`.
    """
    return {
        "schema": SCHEMA,
        "provenance": origin,
        "settings": settings,
        "summary": summarise(rows),
        "rows": [asdict(row) for row in rows],
    }


# Heading, figure, digits after the point, with deviation
_COLUMNS = (
    ("bytes", "size_bytes", 0, True),
    ("overhead", "overhead_bytes", 1, False),
    ("bpp", "bpp", 4, True),
    ("LPIPS", "lpips", 3, True),
    ("PSNR dB", "psnr_db", 2, True),
    ("MS-SSIM", "ms_ssim", 3, True),
    ("enc s", "encode_s", 2, False),
    ("dec s", "decode_s", 2, False),
)


def table(summary: Sequence[dict[str, Any]], anchor: str | None = None) -> str:
    """Lay a summary out as text: a line per tier, "mean ± deviation", "-" where there is none.

    Args:
        summary: from `summarise`.
        anchor: name of the codec compared with, or None for no such columns.
    """
    columns = list(_COLUMNS)
    if anchor:
        columns.insert(4, (f"{anchor} LPIPS", "anchor_lpips", 3, False))
    lines = [["tier", *(heading for heading, *_ in columns)]]
    if anchor:
        lines[0].append("below")
    for entry in summary:
        cells = [str(entry["tier"])]
        for _, figure, digits, with_spread in columns:
            value = entry[figure]
            if value is None:
                cells.append("-")
                continue
            cell = f"{value['mean']:,.{digits}f}"
            if with_spread and value["std"] is not None:
                cell += f" ± {value['std']:,.{digits}f}"
            cells.append(cell)
        if anchor:
            known = entry["better"] is not None
            cells.append(f"{entry['better']}/{entry['images']}" if known else "-")
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
