"""One page that shows a run of `rd`: results.json and pictures in, report.html out.

The page holds all it needs (style, scripts, curves, pictures) and asks nothing of the network; its
content security policy forbids that, and any script but its own. Pictures are the copies below
`pictures/`; where all together are too large, they are recompressed (see `album`).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from eval import plots, published
from eval.report import about, choose, distances, sections
from eval.report.album import Album
from eval.rows import OURS
from eval.themes import DARK, LIGHT

TEMPLATES = Path(__file__).parent
SCRIPTS = ("stage.js", "viewer.js", "table.js", "page.js")
TIERS = (1, 4, 8)
WIDTHS_IN = {"wide": plots.WIDTH_IN, "narrow": 4.3}


def write(
    folder: Path, tiers: Sequence[int] = TIERS, curves: Sequence[plots.Curve] | None = None
) -> Path:
    """Write `report.html` from `results.json` and `pictures/`.

    Args:
        folder: the results.
        tiers: whose pictures the page holds; where none was measured, up to three that were.
        curves: published ones; None takes those of the set that the results name.

    Returns:
        Path of the page.
    """
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    if curves is None:
        named = results["settings"].get("published")
        curves = published.curves(named) if named else []
    ours = str((results.get("comparison") or {}).get("reference") or OURS)
    album = Album(folder)
    data = choose.data(results, ours, tiers, album.add)
    uris, note = album.uris()
    for image in data["images"]:
        image["thumb"] = None if image["original"] is None else album.thumb(image["original"])
    drawn = {}
    for metric in data["metrics"]:
        drawn[metric["name"]], metric["spots"] = _draw(results, metric, curves)
    path = folder / "report.html"
    page = _page(results, ours, data, uris, note, drawn, curves)
    # Names of files may hold what UTF-8 cannot.
    path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")
    return path


def script_data(value: Any) -> str:
    """Write JSON that neither ends a script element nor begins a comment in one."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def fill(template: str, parts: dict[str, str]) -> str:
    """Put parts into a template's `{{name}}`; what the parts hold is not looked into."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _page(
    results: dict[str, Any],
    ours: str,
    data: dict[str, Any],
    uris: list[str],
    note: str | None,
    drawn: dict[str, dict[str, str]],
    curves: Sequence[plots.Curve],
) -> str:
    style = _template("page.css")
    scripts = [f"const PICTURES = {json.dumps(uris)};", *map(_template, SCRIPTS)]
    missing = sections.missing(results)
    named = str(results["settings"].get("data") or "")
    title = f"{ours} on {Path(named).name}" if named else ours
    parts = {
        "policy": _policy(style, scripts),
        "title": escape(title),
        "ours": escape(ours),
        "chips": about.chips(results["provenance"]),
        "facts": sections.facts(results, ours),
        "copies": escape(note or "shown as they lie in the results folder"),
        "tiers": sections.tiers(results, ours),
        "curves": sections.curves(results, curves, drawn.__getitem__, ours),
        "comparison": sections.comparison(results, ours),
        "distances": distances.distances(results, ours),
        "missing": f'<section id="missing"><h2>What is missing</h2>{missing}</section>'
        if missing
        else "",
        "missing_link": '<a href="#missing">Missing</a>' if missing else "",
        "about": about.about(results),
        "style": style,
        "data": script_data(data),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return fill(_template("page.html"), parts)


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Allow this page's style and scripts by their digests, pictures in the page, nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; "
        f"script-src {' '.join(map(digest, scripts))}; base-uri 'none'; form-action 'none'"
    )


def _draw(
    results: dict[str, Any], metric: dict[str, Any], curves: Sequence[plots.Curve]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Draw a metric for wide and narrow screens, light and dark.

    Returns:
        URIs by CSS classes, and the points with their places: a point's place is a share of a
        figure's width and height from its upper left, by the figure's width.
    """
    uris: dict[str, str] = {}
    spots = [{"row": spot, "wide": [0, 0], "narrow": [0, 0]} for spot in metric["spots"]]
    for size, width_in in WIDTHS_IN.items() if spots else ():
        for paper, theme in (("light", LIGHT), ("dark", DARK)):
            figure = plots.draw(results, metric["name"], curves, theme, width_in)
            buffer = io.BytesIO()
            plots.write(figure, buffer, "svg")
            code = base64.b64encode(buffer.getvalue()).decode()
            uris[f"{size} {paper}"] = f"data:image/svg+xml;base64,{code}"
        width, height = figure.bbox.size
        for spot in spots:
            x, y = figure.axes[0].transData.transform(spot["row"][2:])
            spot[size] = [round(x / width, 5), round(1 - y / height, 5)]
    return uris, spots
