"""`python -m eval demo`: one photo beside other codecs."""

from __future__ import annotations

from pathlib import Path

import click

from eval import options


@click.command()
@click.option(
    "--out",
    type=options.NEW_FOLDER,
    default=Path("demo"),
    show_default=True,
    help="Folder for the files.",
)
@click.option(
    "--photo", type=options.FILE, help="Another photo; else the one that scikit-learn brings."
)
@options.model
def demo(out: Path, photo: Path | None, model: str | None) -> None:
    """One photo at three tiers beside the smallest JPEG, WebP and AVIF of it."""
    from eval import demo as show

    show.run(out, photo, model)
