"""`python -m eval report`: the page and plots of a results folder, made again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eval import options


@click.command()
@click.argument("folder", type=options.FOLDER)
@options.tiers
def report(folder: Path, tiers: list[int]) -> None:
    """Write the report of a results folder again, with pictures of other tiers.

    FOLDER is what `rd --out` made.
    """
    from eval import plots, published
    from eval import report as page
    from eval.rows import SCHEMA

    path = folder / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fact = getattr(error, "strerror", None) or error
        raise click.ClickException(f"{path}: {fact}; run 'python -m eval rd' first") from error
    if results.get("schema") != SCHEMA:
        raise click.ClickException(f"{path}: schema {results.get('schema')}, this reads {SCHEMA}")
    tiers = tiers or results["settings"]["tiers"]
    curves = published.curves(results["settings"]["published"] or "")
    plots.save(results, curves, folder / "plots")
    click.echo(page.write(folder, tiers))
