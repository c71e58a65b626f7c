"""The page's parts that need no script: facts, tables, curves. Results in, escaped HTML out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from eval import plots, published
from eval.report.choose import DIGITS, number
from eval.themes import HIGHER_IS_BETTER, label

MARKS = {**published.MARKS, "V": "run here"}
MAIN = "lpips_alex"  # the metric that is told first
ABSENT, MINUS = "\u2013", "\u2212"


def arrow(metric: str) -> str:
    """Say which way is better."""
    return "↑" if metric in HIGHER_IS_BETTER else "↓"


def figure(value: Any, digits: int) -> str:
    """Write a figure with a fixed number of digits, or a dash for none."""
    known = number(value)
    return ABSENT if known is None else f"{known:,.{digits}f}".replace("-", MINUS)


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], first: int | None = None
) -> str:
    """Write a table; cells are HTML, those of the first column head their rows.

    Args:
        caption: HTML.
        head: cells of the first row.
        rows: the others.
        first: which of them is ours, if any.
    """
    heads = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = []
    for index, (name, *cells) in enumerate(rows):
        kind = ' class="ours"' if index == first else ""
        rest = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in cells)
        lines.append(f'<tr{kind}><th scope="row">{name}</th>{rest}</tr>')
    return (
        f'<div class="scroll" tabindex="0"><table><caption><span>{caption}</span></caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def facts(results: Mapping[str, Any], ours: str) -> str:
    """The run in four figures."""
    mine = [entry for entry in results["summary"] if entry["codec"] == ours]
    images = len({row["image"] for row in results["rows"]})
    found = [(f"{images:,}", "image" + "s" * (images != 1))]
    if mine:
        means = [(entry["size_bytes"]["mean"], entry["bpp"]["mean"]) for entry in mine]
        found.append((_span([m[0] for m in means], 0), "bytes a file, mean"))
        found.append((_span([m[1] for m in means], 4), "bits per pixel, mean"))
        named = [name for name in mine[0]["metrics"] if mine[0]["metrics"][name]]
        named.sort(key=lambda name: name != MAIN)
        for name in named[:1]:
            values = [e["metrics"][name]["mean"] for e in mine if e["metrics"].get(name)]
            digits = min(3, DIGITS.get(name, 3))
            found.append((_span(values, digits), f"{escape(label(name))}, better {arrow(name)}"))
    cells = "".join(f"<div><dd>{value}</dd><dt>{what}</dt></div>" for value, what in found)
    return f'<dl class="facts">{cells}</dl>'


def _span(values: Sequence[float], digits: int) -> str:
    """From the first point to the last."""
    ends = [figure(value, digits) for value in (values[0], values[-1])]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} <i>to</i> {ends[1]}"


def tiers(results: Mapping[str, Any], ours: str) -> str:
    """Means of our points."""
    mine = [entry for entry in results["summary"] if entry["codec"] == ours]
    if not mine:
        return ""
    names = list(dict.fromkeys(name for entry in mine for name in entry["metrics"]))
    head = ["tier", "bytes", "bpp", *(f"{escape(label(n))} {arrow(n)}" for n in names)]
    rows = [
        [
            str(entry["point"]),
            figure(entry["size_bytes"]["mean"], 0),
            figure(entry["bpp"]["mean"], 4),
            *(figure((entry["metrics"].get(n) or {}).get("mean"), DIGITS.get(n, 3)) for n in names),
        ]
        for entry in mine
    ]
    return table(f"{escape(ours)}, means over images", head, rows)


def curves(
    results: Mapping[str, Any],
    curve: Sequence[plots.Curve],
    pictures: Callable[[str], Mapping[str, str]],
    ours: str,
) -> str:
    """A panel per metric: the curves and the table at equal rates.

    Args:
        results: what results.json holds.
        curve: published curves.
        pictures: gives a metric's figures as URIs, by the classes that choose among them.
        ours: name of our curve.
    """
    names = plots.metrics(results)
    if not names:
        return "<p>No point of a curve was measured on all images, so there is nothing to draw.</p>"
    tabs, panels = [], []
    first = MAIN if MAIN in names else names[0]
    for index, name in enumerate(names):
        tabs.append(
            f'<button role="tab" id="tab-{index}" aria-controls="panel-{index}" '
            f'aria-selected="{str(name == first).lower()}" tabindex="{0 if name == first else -1}">'
            f"{escape(label(name))} <i>{arrow(name)}</i></button>"
        )
        alt = escape(f"{label(name)} over bits per pixel; the points are in the tables", quote=True)
        shown = "".join(
            f'<img class="{kind}" src="{uri}" alt="{alt}" decoding="async">'
            for kind, uri in pictures(name).items()
        )
        panels.append(
            f'<div role="tabpanel" id="panel-{index}" aria-labelledby="tab-{index}">'
            f'<figure class="curves scroll" tabindex="0" data-metric="{escape(name, quote=True)}">'
            f'<div class="plot">{shown}</div></figure>'
            f"{_sources(curve, name)}{_equal(results, name, ours)}</div>"
        )
    return (
        f'<div role="tablist" aria-label="metric" class="tabs">{"".join(tabs)}</div>'
        f'<div class="panels">{"".join(panels)}</div>'
    )


def _sources(curve: Sequence[plots.Curve], metric: str) -> str:
    shown = [found for found in curve if found.points.get(metric)]
    if not shown:
        return ""
    marks = dict.fromkeys(found.mark for found in shown)
    told = "; ".join(f"[{escape(mark)}] {escape(MARKS.get(mark, 'unmarked'))}" for mark in marks)
    items = "".join(
        f"<li><b>{escape(found.name)}</b> [{escape(found.mark)}] {escape(found.source)}</li>"
        for found in shown
    )
    return (
        f"<details><summary>Where the dashed curves come from</summary>"
        f"<p>{told}. Protocols differ, so they are for orientation and enter no table.</p>"
        f"<ol>{items}</ol></details>"
    )


def _equal(results: Mapping[str, Any], metric: str, ours: str) -> str:
    """Values at equal rates, the best of each column bold."""
    equal = (results.get("comparison") or {}).get("equal_bpp") or {}
    by_codec = (equal.get("metrics") or {}).get(metric) or {}
    known = {c: v for c, v in by_codec.items() if any(number(x) is not None for x in v)}
    if not known:
        return ""
    codecs = sorted(known, key=lambda codec: codec != ours)
    choose = max if metric in HIGHER_IS_BETTER else min
    columns = [[number(known[codec][k]) for codec in codecs] for k in range(len(known[codecs[0]]))]
    best = [
        choose(x for x in column if x is not None) if any(x is not None for x in column) else None
        for column in columns
    ]
    rows = [
        [escape(codec)]
        + [
            f'<td class="best">{figure(x, DIGITS.get(metric, 3))}</td>'
            if x is not None and x == best[k]
            else figure(x, DIGITS.get(metric, 3))
            for k, x in enumerate(known[codec])
        ]
        for codec in codecs
    ]
    left_out = [escape(codec) for codec in by_codec if codec not in known]
    note = f" Out of this range: {', '.join(left_out)}." if left_out else ""
    caption = (
        f"{escape(label(metric))} at equal size, better {arrow(metric)}, by bits per pixel. "
        f"The best of each column is bold; a dash: not on the curve.{note}"
    )
    head = ["codec", *(figure(rate, 4) for rate in equal["rates_bpp"])]
    return table(caption, head, rows, codecs.index(ours) if ours in codecs else None)


def comparison(results: Mapping[str, Any], ours: str) -> str:
    """Bjontegaard rates in plain words: more or fewer bits at equal quality."""
    found = (results.get("comparison") or {}).get("bd") or []
    if not found:
        return "<p>No other codec was measured on these images, so there is nothing to compare.</p>"
    told = [entry for entry in found if _is_told(entry)]
    codecs = list(dict.fromkeys(entry["codec"] for entry in told))
    names = list(dict.fromkeys(entry["metric"] for entry in found))
    by_place = {(entry["codec"], entry["metric"]): entry for entry in found}
    rows = [
        [escape(codec), *(_delta(by_place.get((codec, name)), name) for name in names)]
        for codec in codecs
    ]
    caption = (
        f"<b>{escape(ours)}</b> against each codec: how many bits it needs for the same quality "
        "(Bjøntegaard rate: the mean over the range of quality that both curves reach), and how "
        "far its quality lies above (+) or below (\N{MINUS SIGN}) at equal size. "
        "Green is in its favour."
    )
    head = ["against", *(f"{escape(label(name))} {arrow(name)}" for name in names)]
    made = table(caption, head, rows).replace("<table>", '<table class="bd">', 1) if rows else ""
    return made + _refused([entry for entry in found if entry["codec"] not in codecs])


def _is_told(entry: Mapping[str, Any]) -> bool:
    return any(number(entry.get(name)) is not None for name in ("bd_rate_percent", "bd_metric"))


def _refused(entries: Sequence[Mapping[str, Any]]) -> str:
    """Codecs without any figure, with their reasons; the metrics are named where these differ."""
    by_reason: dict[str, list[str]] = {}
    for codec in dict.fromkeys(entry["codec"] for entry in entries):
        reasons: dict[str, list[str]] = {}
        for entry in entries:
            if entry["codec"] == codec:
                why = entry.get("refused") or "no reason given"
                reasons.setdefault(why, []).append(label(entry["metric"]))
        words = "; ".join(
            why if len(reasons) == 1 else f"{', '.join(metrics)}: {why}"
            for why, metrics in reasons.items()
        )
        by_reason.setdefault(words, []).append(codec)
    items = [
        f"<li><b>{escape(', '.join(codecs))}</b>: {escape(why)}</li>"
        for why, codecs in by_reason.items()
    ]
    return f'<div class="note"><p>No figure:</p><ul>{"".join(items)}</ul></div>' if items else ""


def _delta(entry: Mapping[str, Any] | None, metric: str) -> str:
    """A cell: bits at equal quality, quality at equal size, and the range or why there is none."""
    if entry is None:
        return f'<td class="none">{ABSENT}<small>not measured</small></td>'
    digits = DIGITS.get(metric, 3)
    lines = []
    percent = number(entry.get("bd_rate_percent"))
    if percent is not None:
        words = "fewer" if percent < 0 else "more"
        lines.append(
            f'<span><b class="{words}">{figure(abs(percent), 1)} % {words} bits</b></span>'
        )
    gain = number(entry.get("bd_metric"))
    if gain is not None:
        is_better = (gain > 0) == (metric in HIGHER_IS_BETTER) or gain == 0
        kind = "fewer" if is_better else "more"
        sign = "+" if gain > 0 else ""
        text = f'<b class="{kind}">{sign}{figure(gain, digits)}</b>'
        lines.append(f"<span>{text} at equal size</span>")
    ends = [figure(entry.get(end), digits) for end in ("from", "to")]
    if percent is None:
        reason = escape(entry.get("refused") or "no reason given")
        lines.append(f"<small>bits: {reason}</small>")
    elif ABSENT not in ends:
        lines.append(f"<small>quality compared: {ends[0]} to {ends[1]}</small>")
    return f"<td>{''.join(lines)}</td>"


def missing(results: Mapping[str, Any]) -> str:
    """Images that failed, codecs and metrics that are absent, each with what helps; "" if none."""
    items = [
        f"<li><b>Image {escape(entry['image'])}</b> failed: {escape(entry['error'])}</li>"
        for entry in results.get("failed") or []
    ]
    items += [
        f"<li><b>Codec {escape(entry['codec'])}</b> is absent. What helps: "
        f"<code>{escape(entry['remedy'])}</code></li>"
        for entry in results.get("absent") or []
    ]
    items += [
        f"<li><b>Metric {escape(label(name))}</b> is absent: {escape(entry['absent'])}</li>"
        for name, entry in (results.get("metrics") or {}).items()
        if entry.get("absent")
    ]
    return f"<ul>{''.join(items)}</ul>" if items else ""
