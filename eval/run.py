"""A whole run of `python -m eval rd`: load what is at hand, measure, compare, write the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from eval import (
    anchor_table,
    codecs,
    images,
    metrics,
    plots,
    provenance,
    published,
    rd,
    report,
)
from eval.codecs.base import CodecAbsentError, CodecError
from eval.measure import Plan, decoded, open_codec, read
from eval.metrics import sets
from eval.progress import Progress
from eval.rows import OURS, Row
from eval.sweep import Sweep, name_images, sweep


class RunError(Exception):
    """The run cannot begin; the message is one line and says what to do."""


def run(
    folder: Path,
    *,
    data: Path,
    tiers: Sequence[int],
    limit: int | None,
    max_side: int | None,
    anchors: Sequence[str],
    own_codecs: Sequence[Path],
    table: Path | None,
    metric_names: Sequence[str] | None,
    weights: Path | None,
    inception: Path | None,
    published_name: str | None,
    model: str | None,
    rdo: float | None,
    jobs: int,
) -> bool:
    """Measure a folder of images and leave results and report in `folder`.

    Args:
        folder: for the results; what an earlier run left there is used.
        data: folder of images.
        tiers: of ours; none stands for all that the pack has.
        limit: only so many images, or None.
        max_side: larger images are scaled down to it first, in pixels; None for none.
        anchors: names of other codecs.
        own_codecs: TOML files of further ones.
        table: figures of codecs that are not at hand, or None.
        metric_names: names of metrics; None for all whose weights are at hand.
        weights: folder of their weights, or None.
        inception: Inception's weights, or None.
        published_name: set of published curves, "none", or None for the folder's own.
        model: a pack's name or folder; None takes the default.
        rdo: our encoder's option, or None to pass nothing.
        jobs: worker processes.

    Returns:
        Whether all images went through all codecs.

    Raises:
        RunError: there is no image, no model, or a file of settings is wrong.
    """
    progress = Progress()
    try:
        paths = images.find_images(data)[:limit]
    except FileNotFoundError as error:
        raise RunError(f"{error}; give --data a folder with PNG, JPEG, WebP ... files") from error
    names, absent = _at_hand(anchors)
    plan = Plan(
        folder=folder,
        codecs=(OURS, *names, *map(str, own_codecs)),
        tiers=tuple(tiers),
        model=model,
        metrics=(),
        weights=weights,
        max_side=max_side,
        rdo=rdo,
    )
    for name in plan.codecs:
        try:
            open_codec(plan, name)
        except (CodecAbsentError, CodecError) as error:
            raise RunError(str(error)) from error
    # Last, since this may fetch weights, which no wrong setting should have to wait for.
    meters, absent_metrics = metrics.load(metric_names, weights)
    tiers = tuple(int(tier) for tier in open_codec(plan, OURS).settings)
    plan = replace(plan, tiers=tiers, metrics=tuple(meter.name for meter in meters))
    for name, remedy in absent_metrics.items():
        progress.say(f"no {name}: {remedy}")
    found = sweep(plan, paths, {m.name: m.source for m in meters}, jobs, progress)
    if not found.sizes:
        raise RunError(f"{data}: none of {len(paths)} images can be read")
    from_table = _from_table(table, absent, found.sizes)
    for name, remedy in absent.items():
        known = f"; its figures come from {table.name}" if table and name in from_table else ""
        progress.say(f"no {name}: {remedy}{known}")
    told = {
        "provenance": provenance.provenance(model, threads=1),
        "data": data.resolve().name,
        "published": rd.choose_published(published_name, data),
        "metrics": {
            **{meter.name: {"source": meter.source} for meter in meters},
            **{name: {"absent": remedy} for name, remedy in absent_metrics.items()},
        },
        "absent": [{"codec": name, "remedy": remedy} for name, remedy in absent.items()],
        "table": table.name if table else None,
    }
    distances = _distances(plan, found, name_images(paths), inception, told["metrics"], progress)
    results = rd.results(plan, found, from_table, told, distances)
    provenance.write_json(folder / "results.json", results)
    plots.save(results, published.curves(told["published"] or ""), folder / "plots")
    page = report.write(folder)
    click.echo(f"{told['data']}: {len(found.sizes)} images, mean ± standard deviation over images")
    click.echo(rd.table(results))
    click.echo(f"\nresults: {folder / 'results.json'}\nreport:  {page}")
    return not found.failures


def _at_hand(anchors: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Codecs that can run here, and by name what the others need."""
    found, absent = [], {}
    for name in anchors:
        try:
            codecs.load(name)
        except CodecAbsentError as error:
            absent[name] = str(error)
        else:
            found.append(name)
    return found, absent


def _from_table(
    table: Path | None, names: dict[str, str], sizes: dict[str, tuple[int, int]]
) -> dict[str, list[Row]]:
    """Rows of the codecs that are not at hand, as far as the table has the run's images."""
    if table is None or not names:
        return {}
    try:
        found = {
            codec: anchor_table.rows(table, codec, sizes)
            for codec in anchor_table.codecs(table, names)
        }
    except anchor_table.AnchorTableError as error:
        raise RunError(str(error)) from error
    return {codec: rows for codec, rows in found.items() if rows}


def _distances(
    plan: Plan,
    found: Sweep,
    paths: dict[str, Path],
    inception: Path | None,
    told: dict[str, Any],
    progress: Progress,
) -> dict[tuple[str, int], dict[str, Any]]:
    """FID and KID of every point that all images reached; what keeps them away goes into `told`."""
    meter = sets.load(inception)
    if isinstance(meter, str):
        told["fid"] = told["kid"] = {"absent": meter}
        if inception is not None:
            progress.say(f"no fid, kid: {meter}")
        return {}
    told["fid"] = told["kid"] = {"source": meter.source}
    points: dict[tuple[str, int], list[Row]] = {}
    for row in found.rows:
        points.setdefault((row.codec, row.point), []).append(row)
    distances = {}
    for (curve, point), rows in points.items():
        if len(rows) == len(found.sizes):
            meter.reset()
            for row in rows:
                meter.update(read(plan, paths[row.image]), decoded(plan, row))
            distances[curve, point] = meter.result()
            progress.say(f"{curve} {point}: {distances[curve, point]}")
    return distances
