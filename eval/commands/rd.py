"""`python -m eval rd`: rate and quality beside other codecs, with a report."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import click

from eval import options
from eval.codecs import NAMES as CODECS
from eval.metrics import NAMES as METRICS

FAILED = 3  # exit code where an image or a codec failed and the rest was measured


@click.command()
@options.data
@click.option("--out", type=options.NEW_FOLDER, required=True, help="Folder for the results.")
@options.tiers
@click.option("--limit", type=click.IntRange(1), help="Only the first N images.")
@click.option(
    "--max-side",
    type=click.IntRange(16),
    help="Scale larger images down to so many pixels first; what is measured is the small image.",
)
@click.option(
    "--anchors",
    default="all",
    show_default=True,
    callback=options.names(CODECS, CODECS),
    help=f"Codecs to measure beside ours, of {','.join(CODECS)}; or 'none'.",
)
@click.option(
    "--codec",
    "own_codecs",
    type=options.FILE,
    multiple=True,
    help="A codec of your own: a TOML file with its commands, see docs/EVALUATION.md; repeatable.",
)
@click.option(
    "--measured",
    type=options.FILE,
    help="Table of what codecs were measured to do, for anchors that are not at hand; else "
    "$VQCODEC_DATA/anchors.tsv.",
)
@click.option(
    "--metrics",
    "metric_names",
    default="all",
    show_default=True,
    callback=options.names(tuple(METRICS), None),
    help=f"Of {','.join(METRICS)}. One that is named here may fetch its weights.",
)
@click.option(
    "--lpips-weights",
    "weights",
    type=options.FOLDER,
    help="Folder with weights of the metrics' networks; else $VQCODEC_WEIGHTS, else PyTorch's "
    "download.",
)
@click.option("--inception", type=options.FILE, help="Inception's weights, for FID and KID.")
@click.option(
    "--published",
    "published_name",
    help="Set of images whose published curves are drawn (kodak, clic), or 'none'; else by the "
    "folder's name.",
)
@click.option(
    "--rdo",
    type=click.FloatRange(0),
    metavar="LAMBDA",
    help="Passed to our encoder, and named in the curve's label; else nothing is passed.",
)
@options.jobs
@options.model
def rd(out: Path, **asked: Any) -> None:
    """Rate and quality of every image, through real files, beside other codecs.

    Writes results.json, report.html, plots and all coded files to --out. Run again with the same
    --out, it goes on where it was. Exit code 3: an image or a codec failed; the rest was measured.
    """
    from eval import run

    out.mkdir(parents=True, exist_ok=True)
    data = options.images_folder(asked.pop("data"))
    weights = asked.pop("weights") or options.named_folder("VQCODEC_WEIGHTS")
    table = asked.pop("measured") or options.existing(
        options.named_folder("VQCODEC_DATA", "anchors.tsv")
    )
    try:
        is_whole = run.run(out, data=data, weights=weights, table=table, **asked)
    except run.RunError as error:
        raise click.ClickException(str(error)) from error
    except BrokenProcessPool as error:
        raise click.ClickException(
            f"a process died, perhaps for want of memory; run again with fewer --jobs: {error}"
        ) from error
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on from here", err=True)
        raise click.exceptions.Exit(130) from None
    if not is_whole:
        raise click.exceptions.Exit(FAILED)
