"""Distances of whole sets of pictures, FID and KID: a table per measure, and what to hold of it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from eval.report.choose import DIGITS, number
from eval.report.sections import ABSENT, figure, table
from eval.themes import label

MEASURES = ("fid", "kid")


def distances(results: Mapping[str, Any], ours: str) -> str:
    """Write the tables, codecs by points; "" where no set was measured."""
    entries = [entry for entry in results["summary"] if entry.get("sets")]
    made = [_table(entries, name, ours) for name in MEASURES]
    notes = dict.fromkeys(note for entry in entries for note in entry["sets"].get("notes") or [])
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    tail = f'<div class="note"><ul>{told}</ul></div>' if told else ""
    return f"<h3>Distances of whole sets</h3>{''.join(made)}{tail}" if entries else ""


def _table(entries: list[Mapping[str, Any]], name: str, ours: str) -> str:
    found = {(entry["codec"], entry["point"]): entry for entry in entries}
    if all(number(entry["sets"].get(name)) is None for entry in entries):
        return ""
    codecs = sorted(dict.fromkeys(codec for codec, _ in found), key=lambda codec: codec != ours)
    points = sorted({point for _, point in found})
    rows = [
        [escape(codec), *(_cell(found.get((codec, point)), name) for point in points)]
        for codec in codecs
    ]
    caption = (
        f"{label(name)} between the patches of all originals and all decoded pictures, better ↓, "
        "by point: our tier, or the number of the rate that another codec was asked for. Points of "
        "one column differ in rate, which is told below each figure in bits per pixel."
    )
    head = ["codec", *map(str, points)]
    return table(caption, head, rows, codecs.index(ours) if ours in codecs else None)


def _cell(entry: Mapping[str, Any] | None, name: str) -> str:
    if entry is None or number(entry["sets"].get(name)) is None:
        return ABSENT
    sets = entry["sets"]
    digits = DIGITS.get(name, 4)
    spread = number(sets.get(f"{name}_std"))
    tail = f" ± {figure(spread, digits)}" if spread is not None else ""
    rate = f"<small>{figure(entry['bpp']['mean'], 4)}</small>"
    return f"{figure(sets[name], digits)}{tail}{rate}"
