"""`python -m eval loss`: what pictures look like when packets are lost."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import click

from eval import options
from eval.commands.rd import FAILED


@click.command()
@options.data
@options.focus_tiers
@click.option("--limit", type=click.IntRange(1), help="Only the first N images.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Losses per image at 10, 20 and 50 % i.i.d.",
)
@click.option(
    "--few",
    type=click.IntRange(1, 1000),
    default=2,
    show_default=True,
    help="Losses per image at 5 and 30 %, and in bursts.",
)
@click.option(
    "--packets",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="Data packets of a file.",
)
@click.option(
    "--lpips-weights",
    "weights",
    type=options.FOLDER,
    help="Folder with LPIPS's weights; else $VQCODEC_WEIGHTS, else PyTorch's download.",
)
@options.jobs
@click.option("--out", type=click.Path(path_type=Path), help="Results file, JSON.")
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps what is measured: an interrupted run goes on where it was.",
)
@click.option("--plots", type=options.NEW_FOLDER, help="Folder for curves and a strip of pictures.")
@click.option(
    "--strip-image", metavar="NAME", help="Whose pictures the strip shows; else the first's."
)
@options.model
def loss(
    data: Path | None,
    tiers: list[int],
    limit: int | None,
    seeds: int,
    few: int,
    packets: int,
    weights: Path | None,
    jobs: int,
    out: Path | None,
    journal_path: Path | None,
    plots: Path | None,
    strip_image: str | None,
    model: str | None,
) -> None:
    """LPIPS and PSNR of damaged files, ours alone: by restorer, loss rate and channel.

    Tiers in focus (--tiers) meet all channels and rates, and parity packets in the same bytes; the
    pack's others 20 %. Exit code 3: an image failed; the rest was measured.
    """
    from eval import images, loss_bench, loss_journal, loss_plan, loss_plots, loss_rows, loss_strip
    from eval import loss as losing
    from eval import provenance as told_by
    from eval.codecs.base import CodecError
    from eval.codecs.vqc import Vqc
    from eval.progress import Progress
    from eval.sweep import name_images

    data = options.images_folder(data)
    setup = loss_bench.Setup(model, packets, weights or options.named_folder("VQCODEC_WEIGHTS"))
    progress = Progress()
    try:
        paths = images.find_images(data)[:limit]
        named = name_images(paths)
        if strip_image is not None and strip_image not in named:
            raise click.BadParameter(f"there is no image '{strip_image}'", param_hint="strip-image")
        codec = Vqc(model, threads=1)
        every = [int(tier) for tier in codec.settings]
        tiers = [int(tier) for tier in Vqc(model, threads=1, settings=tiers).settings]
        kinds, absent, network = losing.restorers(setup, tiers[0], loss_plan.RESTORERS)
        for message in absent.values():
            progress.say(f"left out: {message}")
        measured_by = {meter.name: meter.source for meter in loss_bench.meters(setup.weights)}
        journal = loss_journal.Journal(
            journal_path,
            codec=codec.identity,
            restorer=network,
            packets=packets,
            burst=loss_plan.BURST,
            metrics=measured_by,
        )
        found = losing.run(paths, tiers, every, kinds, (seeds, few), setup, jobs, journal, progress)
    except (FileNotFoundError, CodecError) as error:
        raise click.ClickException(str(error)) from error
    except BrokenProcessPool as error:
        raise click.ClickException(
            f"a process died, perhaps for want of memory; run again with fewer --jobs: {error}"
        ) from error
    except KeyboardInterrupt:
        kept = "the same command goes on from here" if journal_path else "nothing was kept"
        click.echo(f"interrupted; {kept}", err=True)
        raise click.exceptions.Exit(130) from None
    if not found["images"]:
        raise click.ClickException(f"{data}: none of {len(paths)} images could be measured")
    settings = {
        "data": data.resolve().name,
        "images": found.pop("images"),
        "tiers": tiers,
        "packets": packets,
        "parity": found.pop("parity"),
        "burst_packets": loss_plan.BURST,
        "seeds": seeds,
        "few": few,
        "seed": f"{loss_plan.SEEDS_PER_IMAGE} * number of the image + number of the loss",
        "restorer_sha256": network,
        "metrics": measured_by,
    }
    results = {
        "schema": losing.SCHEMA,
        "provenance": told_by.provenance(model, threads=1),
        "settings": settings,
        "codec": codec.identity,
        "absent": absent,
        **found,
    }
    click.echo(f"{settings['data']}: {len(settings['images'])} images, means over images")
    click.echo(loss_rows.table(results))
    if out:
        told_by.write_json(out, results)
        click.echo(f"\nresults: {out}")
    if plots:
        made = loss_plots.save(results, plots)
        name = strip_image or settings["images"][0]
        if name in settings["images"]:
            made.append(plots / "loss-strip.jpg")
            number = list(named).index(name)
            loss_strip.save(made[-1], named[name], number, tiers[-1], kinds[::-1], setup)
        click.echo("\n".join(f"picture: {path}" for path in made))
    if found["failed"]:
        raise click.exceptions.Exit(FAILED)
