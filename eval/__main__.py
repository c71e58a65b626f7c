"""`python -m eval rd|speed|demo|grid`: see docs/EVALUATION.md."""

from __future__ import annotations

import os
from pathlib import Path

import click


def _folder(variable: str, *parts: str) -> Path | None:
    """A folder named by an environment variable, with parts below it; None where it is not set."""
    value = os.environ.get(variable)
    return Path(value, *parts) if value else None


def _existing(path: Path | None) -> Path | None:
    """The path itself if there is a file, else None."""
    return path if path and path.is_file() else None


def _tiers(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    del context, parameter
    if value == "all":
        return list(range(1, 10))
    try:
        tiers = [int(part) for part in value.split(",")]
    except ValueError:
        tiers = []
    if not tiers or not all(1 <= tier <= 9 for tier in tiers):
        raise click.BadParameter("expected numbers from 1 to 9, separated by commas, or 'all'")
    return tiers


def _images(data: Path | None) -> Path:
    """The folder asked for, else the one that the environment names."""
    data = data or _folder("VQCODEC_DATA", "kodak")
    if data is None:
        raise click.UsageError("no images: give --data, or set VQCODEC_DATA")
    return data


@click.group()
def main() -> None:
    """Measure vqcodec."""


_data = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of images; else $VQCODEC_DATA/kodak.",
)
_tier_list = click.option(
    "--tiers", default="all", show_default=True, callback=_tiers, help="Such as 1,4,8."
)
_model = click.option("-m", "--model", metavar="NAME|DIR", help="Model pack; else the default.")
_threads = click.option("--threads", type=click.IntRange(1), help="CPU threads of the networks.")
_json = click.option("--json", "json_path", type=click.Path(path_type=Path), help="Results file.")


@main.command()
@_data
@_tier_list
@click.option("--limit", type=click.IntRange(1), help="Only the first N images.")
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with LPIPS's weights; else $VQCODEC_WEIGHTS.",
)
@click.option(
    "--anchors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Other codecs' files (tab-separated), to compare LPIPS at equal size; else "
    "$VQCODEC_DATA/anchors.tsv.",
)
@click.option("--anchor-codec", default="vvc", show_default=True, help="Which of them.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the coded files and decoded PNGs.",
)
@_model
@_threads
@_json
def rd(
    data: Path | None,
    tiers: list[int],
    limit: int | None,
    weights: Path | None,
    anchors: Path | None,
    anchor_codec: str,
    keep: Path | None,
    model: str | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Rate and quality of every image at every tier, through real files."""
    from eval import images, metrics, provenance
    from eval import rd as sweep
    from eval.anchors import Anchors

    data = _images(data)
    paths = images.find_images(data)[:limit]
    lpips = metrics.load_lpips(weights or _folder("VQCODEC_WEIGHTS"))
    if lpips is None:
        click.echo("no LPIPS: give --weights, or set VQCODEC_WEIGHTS", err=True)
    anchors = anchors or _existing(_folder("VQCODEC_DATA", "anchors.tsv"))
    rivals = Anchors(anchors, anchor_codec) if anchors else None
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    meter = sweep.Meter(model, threads, lpips, rivals, keep)
    rows = meter.sweep(paths, tiers, report=lambda row: click.echo(row.line(), err=True))
    settings = {
        "data": data.name,
        "tiers": tiers,
        "lpips": lpips.source if lpips else None,
        "anchors": f"{anchors.name}: {anchor_codec}" if anchors else None,
    }
    found = sweep.results(rows, settings, provenance.provenance(model, threads))
    click.echo(f"{data.name}, {len(paths)} images, mean ± standard deviation over images")
    click.echo(sweep.table(found["summary"], anchor_codec.upper() if anchors else None))
    if json_path:
        provenance.write_json(json_path, found)


@main.command()
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of photos to make the pictures of; else $VQCODEC_DATA/kodak, else one that "
    "scikit-learn brings.",
)
@click.option("--tier", default=8, show_default=True, type=click.IntRange(1, 9))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--large/--no-large", default=True, show_default=True, help="6000x4000 as well.")
@click.option("--taming/--no-taming", default=True, show_default=True, help="Time its decoder too.")
@_model
@_threads
@_json
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
    photos = photos or _folder("VQCODEC_DATA", "kodak")
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


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for the files.",
)
@click.option(
    "--photo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another photo; else the one that scikit-learn brings.",
)
@_model
def demo(out: Path, photo: Path | None, model: str | None) -> None:
    """One photo at three tiers beside the smallest JPEG, WebP and AVIF of it."""
    from eval import demo as show

    show.run(out, photo, model)


@main.command()
@_data
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the sheets.",
)
@_tier_list
@_model
@_threads
def grid(
    data: Path | None, out: Path, tiers: list[int], model: str | None, threads: int | None
) -> None:
    """Contact sheets for a model's card: crops of eight images, one sheet per tier."""
    import vqcodec
    from eval import grid as sheets

    try:
        sheets.run(_images(data), out, tiers, model, threads)
    except (FileNotFoundError, vqcodec.VqcError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m eval")
