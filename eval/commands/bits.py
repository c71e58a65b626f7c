"""`python -m eval bits`: what the codings of the index map save."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import click

from eval import options
from eval.commands.rd import FAILED


@click.command()
@options.data
@options.tiers
@click.option("--limit", type=click.IntRange(1), help="Only the first N images.")
@click.option(
    "--rdo",
    "weights",
    type=click.FloatRange(0, min_open=True),
    metavar="LAMBDA",
    multiple=True,
    help="Weight of bits to measure beside 0, repeatable; else the package's own.",
)
@options.jobs
@click.option("--out", type=click.Path(path_type=Path), help="Results file, JSON.")
@options.model
def bits(
    data: Path | None,
    tiers: list[int],
    limit: int | None,
    weights: tuple[float, ...],
    jobs: int,
    out: Path | None,
    model: str | None,
) -> None:
    """Bits of every image and tier in every coding, whole files, ours alone.

    It needs a pack with a context model. Exit code 3: an image failed; the rest was measured.
    """
    from eval import bits as counting
    from eval import images, provenance, savings
    from eval.codecs.base import CodecError
    from eval.codecs.vqc import Vqc
    from eval.progress import Progress

    data = options.images_folder(data)
    try:
        paths = images.find_images(data)[:limit]
        codec = Vqc(model, threads=1, settings=tiers)
        counting.check_context(codec.settings, model)
        found = counting.run(paths, codec.settings, model, weights or (None,), jobs, Progress())
    except (FileNotFoundError, CodecError) as error:
        raise click.ClickException(str(error)) from error
    except BrokenProcessPool as error:
        raise click.ClickException(
            f"a process died, perhaps for want of memory; run again with fewer --jobs: {error}"
        ) from error
    except KeyboardInterrupt:
        click.echo("interrupted; nothing was kept", err=True)
        raise click.exceptions.Exit(130) from None
    if not found["images"]:
        raise click.ClickException(f"{data}: none of {len(paths)} images could be measured")
    settings = {
        "data": data.resolve().name,
        "images": found.pop("images"),
        "tiers": list(codec.settings),
        "packets": list(savings.PACKETS),
        "rdo": list(weights) or [counting.DEFAULT],
    }
    results = {
        "schema": counting.SCHEMA,
        "provenance": provenance.provenance(model, threads=1),
        "settings": settings,
        "codec": codec.identity,
        **found,
    }
    click.echo(f"{settings['data']}: {len(settings['images'])} images, means over images; columns")
    click.echo("3 to 5: bits per index of payloads; savings: of whole files")
    click.echo(savings.table(results))
    if out:
        provenance.write_json(out, results)
        click.echo(f"\nresults: {out}")
    if found["failed"]:
        raise click.exceptions.Exit(FAILED)
