"""Curves over the share of lost packets: results of `loss` in, PNG out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval import plots
from eval.loss_plan import CHANNELS, RESTORERS
from eval.themes import LIGHT, Theme, label

PANEL_IN = (4.2, 3.1)
METRICS = {"lpips_alex": "better ↓", "accuracy": "better ↑"}
TITLES = {"iid": "packets lost one by one", "gilbert-elliott": "packets lost in bursts"}
PARITY = "parity"
Line = list[tuple[float, float]]


def lines(results: Mapping[str, Any], tier: int, channel: str, metric: str) -> dict[str, Line]:
    """Collect (loss in %, mean) of a tier and channel.

    Args:
        results: what the results file holds.
        tier: in focus.
        channel: one of `loss_plan.CHANNELS`.
        metric: a column of the results.

    Returns:
        By restorer, and under `PARITY` for files with parity packets of the same size; ascending.
        Restorers measured at one rate alone have one point, the others begin with the whole file.
    """
    cells = [
        cell
        for cell in results["summary"]
        if cell["tier"] == tier and cell[metric] is not None and cell["channel"] in (None, channel)
    ]
    found: dict[str, Line] = {}
    for cell in cells:
        if cell["channel"]:
            name = PARITY if cell["has_parity"] else cell["restorer"]
            found.setdefault(name, []).append((100 * cell["loss"], cell[metric]))
    for cell in cells:
        if cell["channel"] is None:
            for name, line in found.items():
                if len(line) > 1 and (name == PARITY) == cell["has_parity"]:
                    line.append((0.0, cell[metric]))
    return {name: sorted(line) for name, line in found.items()}


def draw(results: Mapping[str, Any], metric: str, theme: Theme = LIGHT) -> Figure:
    """Draw a metric: a row of panels per tier in focus, a column per channel.

    Args:
        results: what the results file holds.
        metric: one of `METRICS`.
        theme: colours.
    """
    tiers = results["settings"]["tiers"]
    lower = {entry["tier"]: entry["file_tier"] for entry in results["settings"]["parity"]}
    size = (PANEL_IN[0] * len(CHANNELS), PANEL_IN[1] * len(tiers) + 0.3)
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 9}):
        figure = Figure(figsize=size, facecolor=theme.paper, layout="constrained")
        grid = figure.subplots(len(tiers), len(CHANNELS), squeeze=False, sharex=True, sharey="row")
        for tier, row in zip(tiers, grid, strict=True):
            for channel, axes in zip(CHANNELS, row, strict=True):
                found = lines(results, tier, channel, metric)
                for name, line in found.items():
                    shown = f"parity, tier {lower[tier]}" if name == PARITY else name
                    axes.plot(*zip(*line, strict=True), label=shown, **_style(name, theme))
                title = f"tier {tier}, {TITLES[channel]}"
                _dress(axes, title, theme)
            row[0].set_ylabel(f"{_label(metric)}   ({METRICS[metric]})", color=theme.faint)
        for axes in grid[-1]:
            axes.set_xlabel("share of packets lost, %", color=theme.faint)
        images = len(results["settings"]["images"])
        what = f"{results['settings']['data']}, "
        what += f"mean of {images} images" if images > 1 else "one image"
        figure.suptitle(what, color=theme.ink, fontsize=10.5, fontweight="bold", x=0.01, ha="left")
    return figure


def save(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `loss-lpips_alex.png` and `loss-accuracy.png`, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for metric in METRICS:
        made.append(folder / f"loss-{metric}.png")
        plots.write(draw(results, metric), made[-1], "png")
    return made


def _label(metric: str) -> str:
    return "lost indices filled in right" if metric == "accuracy" else label(metric)


def _style(name: str, theme: Theme) -> dict[str, Any]:
    if name == RESTORERS[0]:
        return {"color": theme.ours, "marker": "o", "markersize": 5, "linewidth": 2.4, "zorder": 5}
    names = (RESTORERS[1], PARITY, "mean", "none")
    number = names.index(name)
    style = {"color": theme.others[number], "marker": "sD^v"[number], "markersize": 4.5}
    return style | {"linewidth": 1.4, "linestyle": "--" if name == PARITY else "-"}


def _dress(axes: Axes, title: str, theme: Theme) -> None:
    axes.set_title(title, loc="left", color=theme.ink, fontsize=9)
    axes.set_facecolor(theme.paper)
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlim(-2, 52)
    axes.tick_params(colors=theme.faint, length=0, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.faint)
    if axes.lines:
        legend = axes.legend(frameon=False, fontsize=8, labelcolor=theme.ink)
        legend.set_zorder(6)
