"""`python -m eval speed`: seconds and memory."""

from __future__ import annotations

import os
from pathlib import Path

import click

from eval import options


@click.command()
@click.option(
    "--photos",
    type=options.FOLDER,
    help="Folder of photos to make the pictures of; else $VQCODEC_DATA/kodak, else one that "
    "scikit-learn brings.",
)
@click.option("--tier", default=8, show_default=True, type=click.IntRange(1, 9))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--large/--no-large", default=True, show_default=True, help="6000x4000 as well.")
@click.option("--taming/--no-taming", default=True, show_default=True, help="Time its decoder too.")
@options.model
@options.threads
@options.json_path
def speed(
    photos: Path | None,
    tier: int,
    repeats: int,
    large: bool,
    taming: bool,
    model: str | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Seconds and peak memory of encode and decode, cold and warm."""
    from eval import images, provenance
    from eval import speed as timing

    threads = threads or min(2, os.cpu_count() or 1)
    photos = photos or options.named_folder("VQCODEC_DATA", "kodak")
    if photos is None:
        sources, named = [images.sample_photo()], "china.jpg"
    else:
        sources, named = [images.read_rgb(path) for path in images.find_images(photos)], photos.name
        sources = [photo for photo in sources if photo.shape[1] >= photo.shape[0]] or sources
    found = {
        "schema": timing.SCHEMA,
        "provenance": provenance.provenance(model, threads),
        "settings": {"tier": tier, "repeats": repeats, "photos": named},
        **timing.run(sources, tier, model, threads, repeats, large, taming),
    }
    click.echo(f"tier {tier}, {threads} threads, median of {repeats} ({timing.LARGE}: one run)")
    click.echo(timing.table(found))
    if json_path:
        provenance.write_json(json_path, found)
