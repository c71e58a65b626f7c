"""`python -m eval grid`: contact sheets for a model's card."""

from __future__ import annotations

from pathlib import Path

import click

from eval import options


@click.command()
@options.data
@click.option("--out", type=options.NEW_FOLDER, required=True, help="Folder for the sheets.")
@options.tiers
@options.model
@options.threads
def grid(
    data: Path | None, out: Path, tiers: list[int], model: str | None, threads: int | None
) -> None:
    """Contact sheets for a model's card: crops of eight images, one sheet per tier."""
    from eval import grid as sheets
    from eval.codecs.base import CodecError

    try:
        sheets.run(options.images_folder(data), out, tiers, model, threads)
    except (FileNotFoundError, ValueError, CodecError) as error:
        raise click.ClickException(str(error)) from error
