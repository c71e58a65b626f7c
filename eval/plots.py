"""Curves of rate against quality: results of `rd` in, a figure per metric out, as SVG and PNG."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from eval.rows import OURS, Points, complete
from eval.themes import (
    HIGHER_IS_BETTER,
    LIGHT,
    OURS_LINEWIDTH,
    Theme,
    digit,
    label,
    short,
    styles,
)

WIDTH_IN, AXES_IN = 7.6, 4.3
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN = 0.72, 0.18, 0.46, 0.62
ROW_IN, HEAD_IN = 0.178, 0.34  # of the legends
LOG_RATIO = 5  # a linear axis shows nothing of the small rates beyond this
PNG_DPI = 150
DIGITS = "123456789abcdefghijklmnopqrstuvwxyz"  # stand on published curves as their markers


class Curve(Protocol):
    """A published curve; `points` holds (bpp, value) by metric."""

    name: str
    mark: str
    source: str
    points: Mapping[str, Sequence[tuple[float, float]]]


def metrics(results: Mapping[str, Any]) -> list[str]:
    """List the metrics that any curve has, in the order of the rows."""
    named = dict.fromkeys(name for entry in results["summary"] for name in entry["metrics"])
    return [name for name in named if curves(results, name)]


def curves(results: Mapping[str, Any], metric: str) -> dict[str, Points]:
    """Collect (mean bpp, mean value, point) by codec, of the points that all images have."""
    names = {row["image"] for row in results["rows"]}
    images = len(names) or max((entry["images"] for entry in results["summary"]), default=0)
    return complete(results["summary"], metric, images)


def draw(
    results: Mapping[str, Any],
    metric: str,
    published: Sequence[Curve],
    theme: Theme = LIGHT,
    width_in: float = WIDTH_IN,
    before: Mapping[str, Any] | None = None,
) -> Figure:
    """Draw a metric over the rate.

    Args:
        results: what results.json holds.
        metric: name of the metric.
        published: curves to show for orientation, dashed; those without the metric are left out.
        theme: colours.
        width_in: of the figure; a narrow one has its legend in fewer columns.
        before: results of an older pack on the same images, whose curve is dashed.
    """
    measured = curves(results, metric)
    others = [curve for curve in published if curve.points.get(metric)]
    ours = _reference(results)
    looks = styles([*results.get("codecs", {}), *measured], ours, theme)
    if before is not None and (older := curves(before, metric).get(_reference(before))):
        name = f"{ours}, {before['provenance']['model']['name']}"
        measured[name] = older
        looks[name] = styles([ours], ours, theme)[ours] | {"linewidth": 1.6, "linestyle": "--"}
        looks[name] |= {"markersize": 4.5, "zorder": 4}
    shown = sorted(measured, key=lambda codec: (codec != ours, list(looks).index(codec)))
    space = width_in / WIDTH_IN
    n_letters = max(map(len, shown), default=0)
    columns = [4 if n_letters < 16 else 2, 2] if space >= 1 else [2 if n_letters < 16 else 1, 1]
    blocks = [-(-len(found) // n) for found, n in zip((shown, others), columns, strict=True)]
    legend_in = sum(ROW_IN * rows + HEAD_IN for rows in blocks if rows)
    height_in = TOP_IN + AXES_IN + BOTTOM_IN + legend_in
    # Names are not mathematics, whatever dollars they hold.
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 9.5}):
        figure = Figure(figsize=(width_in, height_in), facecolor=theme.paper)
        box = (LEFT_IN, BOTTOM_IN + legend_in, width_in - LEFT_IN - RIGHT_IN, AXES_IN)
        scale = (width_in, height_in, width_in, height_in)
        axes = figure.add_axes(tuple(a / b for a, b in zip(box, scale, strict=True)))
        quiet = [_published(axes, c, n, metric, theme) for n, c in enumerate(others)]
        loud = [
            axes.plot(*zip(*((x, y) for x, y, _ in measured[codec]), strict=True), **looks[codec])
            for codec in shown
        ]
        _dress(axes, results, metric, [line.get_xydata() for (line,) in loud], theme)
        if ours in measured:
            _name_ours(axes, ours, theme)
        top = (BOTTOM_IN + legend_in - 0.52) / height_in
        _legend(figure, [line for (line,) in loud], shown, columns[0], top, "Measured here", theme)
        top -= (ROW_IN * blocks[0] + HEAD_IN) / height_in if shown else 0
        names = [f"{curve.name} [{curve.mark}]" for curve in others]
        _legend(
            figure, quiet, names, columns[1], top, "Published by others, other protocols", theme
        )
    return figure


def save(results: Mapping[str, Any], published: Sequence[Curve], folder: Path) -> list[Path]:
    """Write `METRIC.svg` and `METRIC.png` for every metric that any curve has.

    Args:
        results: what results.json holds.
        published: see `draw`.
        folder: made if need be.

    Returns:
        Paths of the files; the same results give the same SVG, byte for byte.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for metric in metrics(results):
        figure = draw(results, metric, published)
        for kind in ("svg", "png"):
            made.append(folder / f"{metric}.{kind}")
            write(figure, made[-1], kind)
    return made


def write(
    figure: Figure, file: Path | BinaryIO, kind: str = "svg", note: str | None = None
) -> None:
    """Write a figure as "svg" or "png", without dates and random names.

    Args:
        figure: from `draw`.
        file: a path or an open file.
        kind: of the file.
        note: goes into the file's metadata as its description.
    """
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {}
    metadata |= {"Description": note} if note else {}
    settings = {"svg.hashsalt": "vqcodec", "svg.fonttype": "path", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box stands for it
        figure.savefig(file, format=kind, dpi=PNG_DPI, metadata=metadata)


def _reference(results: Mapping[str, Any]) -> str:
    return str((results.get("comparison") or {}).get("reference") or OURS)


def _published(
    axes: Axes, curve: Curve, number: int, metric: str, theme: Theme
) -> tuple[Line2D, ...]:
    """A dashed line with a digit on every other point, on paper so that it can be read."""
    spots = sorted(curve.points[metric])
    marked = spots[::2] if len(spots) > 5 else spots
    color, letter = theme.published, digit(DIGITS[number % len(DIGITS)])
    lines = axes.plot(*zip(*spots, strict=True), color=color, linewidth=0.9, linestyle=(0, (4, 3)))
    for marker, size, fill in (("o", 8, theme.paper), (letter, 6, color)):
        lines += axes.plot(
            *zip(*marked, strict=True),
            color=fill,
            marker=marker,
            markersize=size,
            markeredgewidth=0,
            linestyle="",
            zorder=2.5,
        )
    return tuple(lines)


def _dress(
    axes: Axes, results: Mapping[str, Any], metric: str, measured: Sequence[Any], theme: Theme
) -> None:
    """Axes, grid and words; the range of rates is that of what was measured."""
    if measured:
        rates = np.concatenate(measured)[:, 0]
        low, high = rates.min(), rates.max()
        if high > LOG_RATIO * low:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter("")
            is_wide = axes.figure.get_figwidth() >= WIDTH_IN
            steps = (1, 1.5, 2, 3, 5, 7) if is_wide else (1, 2, 5)
            ticks = np.array([m * 10.0**e for e in range(-4, 2) for m in steps])
            axes.set_xticks(ticks[(ticks >= low / 1.15) & (ticks <= high * 1.15)])
            axes.set_xlim(low / 1.15, high * 1.15)
        else:
            pad = 0.06 * (high - low) or 0.1 * high
            axes.set_xlim(max(0, low - pad), high + pad)
        _fit_values(axes)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.10g}")
    arrow = "better ↑" if metric in HIGHER_IS_BETTER else "better ↓"
    axes.set_xlabel("bits per pixel, whole file", color=theme.faint)
    axes.set_ylabel(f"{label(metric)}   ({arrow})", color=theme.faint)
    axes.set_facecolor(theme.paper)
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.faint, length=0, pad=6, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.faint)
    images = len({row["image"] for row in results["rows"]})
    where = short(Path(str(results["settings"].get("data") or "images")).name, 24)
    what = f"{where}, mean of {images} images" if images > 1 else f"{where}, one image"
    axes.set_title(what, loc="left", color=theme.ink, fontsize=11, fontweight="bold", pad=12)


def _fit_values(axes: Axes) -> None:
    """Fit the values to what lies in the range of rates: published curves go on for ever."""
    low, high = axes.get_xlim()
    seen = [y for line in axes.lines for x, y in line.get_xydata() if low <= x <= high]
    pad = 0.06 * (max(seen) - min(seen)) or 0.05 * abs(max(seen)) or 1
    axes.set_ylim(min(seen) - pad, max(seen) + pad)


def _name_ours(axes: Axes, name: str, theme: Theme) -> None:
    """Write our name beside our curve, where it covers the least of the others."""
    to_px = axes.transData.transform
    ours = next(line for line in axes.lines if line.get_linewidth() == OURS_LINEWIDTH)
    ink = np.concatenate([_dense(to_px(line.get_xydata())) for line in axes.lines])  # (N, 2)
    px = axes.figure.dpi / 72
    half = np.array([3.6 * min(len(name), 30) + 3, 8]) * px
    low, high = axes.get_window_extent().get_points()
    spots = [
        spot + np.array([0, dy * px])
        for spot in reversed(to_px(ours.get_xydata()))
        for dy in (17, -17)
    ]
    inside = [s for s in spots if (s - half >= low).all() and (s + half <= high).all()] or spots
    best = min(inside, key=lambda spot: (np.abs(ink - spot) < half).all(1).sum())
    axes.text(
        *axes.transData.inverted().transform(best),
        short(name, 30),
        color=theme.ours,
        ha="center",
        va="center",
        fontsize=11,
        fontweight="bold",
        path_effects=[withStroke(linewidth=3.5, foreground=theme.paper)],
        zorder=6,
    )


def _dense(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points every few pixels along a line; (n, 2) to (N, 2)."""
    if len(points) < 2:
        return points
    return np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(points)])


def _legend(
    figure: Figure,
    lines: Sequence[Any],
    names: Sequence[str],
    columns: int,
    top: float,
    title: str,
    theme: Theme,
) -> None:
    if not lines:
        return
    shown = [short(name, 44) for name in names]
    # A legend leaves out names that begin with an underscore.
    shown = [f"\u200a{name}" if name.startswith("_") else name for name in shown]
    legend = figure.legend(
        lines,
        shown,
        loc="upper left",
        bbox_to_anchor=((LEFT_IN - 0.06) / figure.get_figwidth(), top),
        ncols=columns,
        title=title,
        alignment="left",
        frameon=False,
        fontsize=8.8,
        title_fontsize=8.8,
        labelcolor=theme.ink,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.8,
        handlelength=2.6,
        labelspacing=0.45,
    )
    legend.get_title().set_color(theme.faint)
