"""`python -m eval speed`: seconds and memory, as ratios."""

from __future__ import annotations

import os
from pathlib import Path

import click

from eval import options
from eval.codecs import NAMES as CODECS

PARTS = ("comparison", "scaling", "coding")


def _sizes(context: click.Context, parameter: click.Parameter, value: str) -> list[float]:
    del context, parameter
    if value == "none":
        return []
    try:
        sizes = sorted({float(part) for part in value.split(",")})
    except ValueError:
        sizes = []
    if not sizes or not all(0.01 <= size <= 100 for size in sizes):
        raise click.BadParameter("expected megapixels from 0.01 to 100, such as .25,1,4, or 'none'")
    return sizes


@click.command()
@click.option(
    "--photos",
    type=options.FOLDER,
    help="Folder of photos to make the pictures of; else $VQCODEC_DATA/kodak, else one that "
    "scikit-learn brings.",
)
@click.option("--tier", default=8, show_default=True, type=click.IntRange(1))
@click.option(
    "--repeats", default=3, show_default=True, type=click.IntRange(1), help="Rounds; medians count."
)
@click.option(
    "--sizes",
    default=".25,1,4,12,24",
    show_default=True,
    callback=_sizes,
    help="Megapixels on which ours is timed; or 'none'. Above 4 there is one round.",
)
@click.option(
    "--anchors",
    default="avif,webp,jpeg,jp2k,heic,jxl",
    show_default=True,
    callback=options.names(CODECS, CODECS),
    help="Other codecs to time beside ours; 'all' or 'none'.",
)
@click.option(
    "--taming/--no-taming", default=True, show_default=True, help="taming's full-size networks too."
)
@click.option("--onnx/--no-onnx", default=True, show_default=True, help="Ours in onnxruntime too.")
@click.option(
    "--coding-large",
    is_flag=True,
    help="Time coding the index map of 6000x4000 too, at the default and the largest tier.",
)
@click.option(
    "--only",
    type=click.Choice(PARTS),
    help="Only this: ours beside others, ours by size, or coding the index map.",
)
@options.model
@options.threads
@options.json_path
def speed(
    photos: Path | None,
    tier: int,
    repeats: int,
    sizes: list[float],
    anchors: list[str],
    taming: bool,
    onnx: bool,
    coding_large: bool,
    only: str | None,
    model: str | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Seconds and peak memory of encode and decode, beside other codecs, in turns.

    Also ours by size, and the seconds of coding the index map alone, by coding mode.

    Machines are shared and noisy: read the ratios.
    """
    from eval import images, map_coding, provenance
    from eval import speed as timing

    threads = threads or min(2, os.cpu_count() or 1)
    photos = photos or options.named_folder("VQCODEC_DATA", "kodak")
    if photos is None:
        sources, named = [images.sample_photo()], "china.jpg"
    else:
        try:
            sources = [images.read_rgb(path) for path in images.find_images(photos)]
        except (FileNotFoundError, ValueError) as error:
            raise click.ClickException(str(error)) from error
        sources = [photo for photo in sources if photo.shape[1] >= photo.shape[0]] or sources
        named = photos.resolve().name
    parts = [only] if only else PARTS
    sizes = sizes if "scaling" in parts else []
    shapes = [map_coding.SMALL, *([map_coding.LARGE] if coding_large else [])]
    try:
        timed = timing.run(
            sources,
            tier=tier,
            model=model,
            threads=threads,
            repeats=repeats,
            sizes=sizes,
            anchors=anchors,
            is_taming=taming,
            is_onnx=onnx,
            is_compared="comparison" in parts,
            map_shapes=shapes if "coding" in parts else [],
            report=lambda line: click.echo(line, err=True),
        )
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    found = {
        "schema": timing.SCHEMA,
        "provenance": provenance.provenance(model, threads),
        "settings": {
            "parts": list(parts),
            "tier": tier,
            "repeats": repeats,
            "photos": named,
            "sizes": sizes,
            "anchors": list(anchors),
        },
        **timed,
    }
    click.echo(timing.table(found))
    if json_path:
        provenance.write_json(json_path, found)
