"""The results file of a run: figures, their means, comparisons and where everything came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval import compare, published
from eval.measure import Plan, open_codec
from eval.rows import OURS, RATES_BPP, SCHEMA, Row, as_json, summarise
from eval.sweep import Sweep


def results(
    plan: Plan,
    found: Sweep,
    measured: Mapping[str, Sequence[Row]],
    told: Mapping[str, Any],
    sets: Mapping[tuple[str, int], Mapping[str, Any]],
) -> dict[str, Any]:
    """Assemble the results file.

    Args:
        plan: of the run.
        found: what was measured.
        measured: rows by codec that come from a table; they stand behind those of the run.
        told: "provenance", "data", "published", "metrics", "absent" and "table", the table's name.
        sets: figures of whole sets of pictures by codec and point.

    Returns:
        The object that docs/EVALUATION.md describes; apart from "times" and the date, two runs on
        the same files give the same.
    """
    rows = [*found.rows, *(row for group in measured.values() for row in group)]
    summary = summarise(rows)
    for entry in summary:
        of_set = sets.get((entry["codec"], entry["point"]))
        if of_set is not None:
            entry["sets"] = dict(of_set)
    names = sorted(found.sizes)
    return {
        "schema": SCHEMA,
        "provenance": told["provenance"],
        "settings": {
            "data": told["data"],
            "images": names,
            "max_side": plan.max_side,
            "tiers": list(plan.tiers),
            "rdo": plan.rdo,
            "rates_bpp": list(RATES_BPP),
            "published": told["published"],
        },
        "codecs": _codecs(plan, found.rows, measured, told["table"], summary),
        "metrics": told["metrics"],
        "absent": told["absent"],
        "failed": [asdict(failure) for failure in found.failures],
        "summary": summary,
        "comparison": compare.compare(summary, len(names), open_codec(plan, OURS).name),
        "rows": [as_json(row) for row in rows],
    }


def _codecs(
    plan: Plan,
    rows: Sequence[Row],
    measured: Mapping[str, Sequence[Row]],
    table: str | None,
    summary: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """What decided each curve's bytes."""
    identities = {(codec := open_codec(plan, name)).name: codec.identity for name in plan.codecs}
    out: dict[str, dict[str, Any]] = {}
    for curve in dict.fromkeys(row.codec for row in rows):
        name, _, scale = curve.partition("/")
        scaled = f"; scaled down by {scale} and up again, Lanczos" if scale else ""
        out[curve] = {"identity": identities[name] + scaled}
    out |= {curve: {"identity": None, "measured": table} for curve in measured}
    any_scale = "of each image, the scale with the higher PSNR of those that reach the rate"
    for entry in summary:
        out.setdefault(entry["codec"], {"identity": any_scale})
    return out


def table(found: Mapping[str, Any]) -> str:
    """Lay out the means: ours point by point, then every codec's metrics at our rates."""
    metrics = [name for name, told in found["metrics"].items() if "absent" not in told]
    lines = [["codec", "point", "images", "bytes", "bpp", *metrics]]
    for entry in found["summary"]:
        if entry["codec"] == found["comparison"]["reference"]:
            cells = [entry["codec"], str(entry["point"]), str(entry["images"])]
            cells += [f"{entry['size_bytes']['mean']:,.0f}", f"{entry['bpp']['mean']:.4f}"]
            lines.append([*cells, *(_cell(entry["metrics"].get(name)) for name in metrics)])
    text = [_aligned(lines)] if len(lines) > 1 else []
    equal = found["comparison"]["equal_bpp"]
    for metric, curves in equal["metrics"].items():
        lines = [[f"{metric} at bpp", *(f"{rate:.4f}" for rate in equal["rates_bpp"])]]
        for codec, values in curves.items():
            lines.append([codec, *("-" if value is None else f"{value:.3f}" for value in values)])
        text.append(_aligned(lines))
    deltas = [entry for entry in found["comparison"]["bd"] if entry["bd_rate_percent"] is not None]
    if deltas:
        lines = [["BD-rate of ours against", "metric", "%"]]
        lines += [[e["codec"], e["metric"], f"{e['bd_rate_percent']:+.1f}"] for e in deltas]
        text.append(_aligned(lines))
    return "\n\n".join(text)


def _cell(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "-"
    spread = f" ± {value['std']:.3f}" if value["std"] is not None else ""
    return f"{value['mean']:.3f}{spread}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def choose_published(asked: str | None, data: Path) -> str | None:
    """Name the published curves to draw: those asked for, else of the set that the folder is."""
    if asked == "none":
        return None
    name = asked or data.resolve().name.lower()
    return name if name in published.datasets() else None
