"""How figures look: names of metrics, colours for light and dark paper, a style per codec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as MarkerPath
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

LABELS = {
    "psnr_db": "PSNR, dB",
    "ms_ssim": "MS-SSIM",
    "lpips_alex": "LPIPS (AlexNet)",
    "lpips_squeeze": "LPIPS (SqueezeNet)",
    "lpips_vgg": "LPIPS (VGG)",
    "dists": "DISTS",
    "fid": "FID",
    "kid": "KID",
}
HIGHER_IS_BETTER = frozenset({"psnr_db", "ms_ssim"})

OURS_LINEWIDTH = 3.0
MARKERS = "sD^vPXph<>"
# Line and filling of a codec's variants: at full size, scaled down by two, four and so on.
VARIANTS = (("-", True), ("-", False), (":", False), ("-.", False))


@dataclass(frozen=True)
class Theme:
    """Colours of a figure; `others` tell apart for the colour-blind, by lightness as well."""

    paper: str
    ink: str
    faint: str
    grid: str
    ours: str
    published: str
    others: tuple[str, ...]


LIGHT = Theme(
    paper="#ffffff",
    ink="#1d1f23",
    faint="#5d636e",
    grid="#e6e7ea",
    ours="#cf4317",
    published="#7d838d",
    others=("#2f6c9f", "#2b9184", "#8d6bab", "#a97f21", "#4d5666", "#b2607f", "#5fa5cf", "#7b9a4b"),
)
DARK = Theme(
    paper="#1b1d21",
    ink="#e9eaec",
    faint="#a0a6b0",
    grid="#31343a",
    ours="#ff8357",
    published="#858b96",
    others=("#6ea6d6", "#4fb8a8", "#b496d1", "#d2ab52", "#a7afbd", "#d98bab", "#93cbee", "#a8c47a"),
)


def label(metric: str) -> str:
    """Name a metric for people."""
    return LABELS.get(metric, metric)


def styles(codecs: Iterable[str], ours: str, theme: Theme) -> dict[str, dict[str, Any]]:
    """Choose how lines are drawn: a colour and marker per codec, a line and filling per variant.

    Args:
        codecs: names of all curves of a run, so that a codec looks alike for every metric.
        ours: which of them stands out.
        theme: colours.

    Returns:
        Arguments of matplotlib's `plot` by name, in the order of `codecs`.
    """
    chosen: dict[str, dict[str, Any]] = {}
    families: dict[str, int] = {}
    for codec in dict.fromkeys(codecs):
        if codec == ours:
            chosen[codec] = {
                "color": theme.ours,
                "marker": "o",
                "markersize": 6.5,
                "markeredgecolor": theme.paper,
                "linewidth": OURS_LINEWIDTH,
                "zorder": 5,
            }
            continue
        family = codec.partition("/")[0]
        number = families.setdefault(family, len(families))
        color = theme.others[number % len(theme.others)]
        variant = sum(other != ours and other.partition("/")[0] == family for other in chosen)
        line, is_filled = VARIANTS[min(variant, len(VARIANTS) - 1)]
        chosen[codec] = {
            "color": color,
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 4.8,
            "markerfacecolor": color if is_filled else theme.paper,
            "linewidth": 1.4,
            "linestyle": line,
            "zorder": 3,
        }
    return chosen


def digit(text: str) -> MarkerPath:
    """Make a marker of a letter, in the middle of its point."""
    path = TextPath((0, 0), text, size=10, prop=FontProperties(weight="bold"))
    return path.transformed(Affine2D().translate(*-path.get_extents().get_points().mean(0)))


def _plain(text: str) -> str:
    """Replace what cannot stand in a figure: line breaks, and what breaks SVG's XML."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def short(text: str, letters: int) -> str:
    """Cut a name so that it fits, and replace what cannot stand in a figure."""
    return _plain(text if len(text) <= letters else f"{text[: letters - 1]}…")
