"""The commands of `vqcodec train` on trained weights: average, export, measure."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vqcodec.bitstream.layout import TIERS
from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.train_options import data_option, path, recipe_option, weights_option
from vqcodec.errors import InputError
from vqcodec.rdo import MAX_WEIGHT

if TYPE_CHECKING:
    from vqcodec.nets.load import Nets
    from vqcodec.packs.store import Pack

_threads_option = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads."
)


@click.command("average")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--out", type=path, required=True, help="File to write (.safetensors).")
@shared.talk_options
def average(console: Console, runs: tuple[str, ...], out: Path) -> None:
    """Average the weights of runs that differ only in their seed.

    The runs share --from (the first one's tiers/start.safetensors) and recipe;
    each may have had a processor of its own. RUN is a run's folder or a file.
    """
    from vqcodec.training.average import average

    average(runs, out)
    console.say(f"{out}: the mean of {len(runs)} runs")


@click.command(
    "export",
    epilog=shared.examples("vqcodec train export runs/mine --name mine --data photos/"),
)
@click.argument("run")
@click.option("--name", required=True, help="Name of the pack.")
@data_option
@recipe_option()
@click.option(
    "--out",
    type=path,
    default="models",
    show_default=True,
    help="Folder to write the pack's folder NAME into.",
)
@click.option(
    "--photos",
    "n_photos",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Photos to count the frequency tables on.",
)
@click.option("--f16", "is_f16", is_flag=True, help="Keep kernels in f16 instead of int8.")
@click.option(
    "--note",
    "notes",
    multiple=True,
    metavar="KEY=TEXT",
    help="A line for the manifest's [training], for example hours=1.2.",
)
@click.option("-f", "--force", "is_forced", is_flag=True, help="Replace a pack of that name.")
@_threads_option
@shared.talk_options
def export(
    console: Console,
    run: str,
    name: str,
    data: tuple[Path, ...],
    recipe: str | None,
    out: Path,
    n_photos: int,
    is_f16: bool,
    notes: tuple[str, ...],
    is_forced: bool,
    threads: int,
) -> None:
    """Write a model pack from RUN, the folder of a run or weights of one.

    The recipe is the one that the run keeps a copy of, unless --recipe names
    another.
    """
    import torch

    from vqcodec.packs import store
    from vqcodec.training.checkpoint import find_start, load_start
    from vqcodec.training.export import export
    from vqcodec.training.recipe import find_recipe, load_recipe
    from vqcodec.training.stages import kept_recipe

    training = dict(_note(note) for note in notes)
    ema = find_start(run)
    made = load_recipe(kept_recipe(ema) if recipe is None else find_recipe(recipe))
    torch.set_num_threads(threads)
    manifest = export(
        load_start(ema),
        replace(made, name=name),
        data,
        out / name,
        n_photos=n_photos,
        int8=not is_f16,
        training=training,
        is_forced=is_forced,
        say=console.say,
    )
    store.load(manifest.parent).check()
    console.say(f"{manifest.parent}: written and intact")


@click.command("measure")
@click.argument("model")
@click.option("--data", type=path, required=True, help="Folder or tar of photos.")
@weights_option
@click.option(
    "--tiers",
    metavar="T,T,...",
    help="Tiers to measure, of those that MODEL has. Default: all.",
)
@click.option(
    "--most", type=click.IntRange(1), default=40, show_default=True, help="Photos to take."
)
@click.option(
    "--crop",
    "crop_px",
    type=click.IntRange(16),
    default=256,
    show_default=True,
    help="Side of the centre crop that is measured, in pixels.",
)
@click.option(
    "--metrics",
    default="squeeze,vgg19,mobilenet,alex",
    show_default=True,
    help="Distances to measure.",
)
@click.option("--pictures", type=path, help="Folder for side-by-side PNGs.")
@click.option(
    "--rdo",
    type=click.FloatRange(0, MAX_WEIGHT),
    help="Weight of the bits, as in 'vqcodec encode'; of packs.",
)
@_threads_option
@shared.talk_options
def measure(
    console: Console,
    model: str,
    data: Path,
    weights: Path,
    tiers: str | None,
    most: int,
    crop_px: int,
    metrics: str,
    pictures: Path | None,
    rdo: float | None,
    threads: int,
) -> None:
    """Measure MODEL on photos: a pack's name or folder, a run, or weights of one.

    Of a run that has no tiers yet its base codebook is measured, whatever
    --tiers says.
    """
    from vqcodec.training.measure import METRICS, measure

    names = [name for name in metrics.split(",") if name]
    wanted = list(map(str, TIERS)) if tiers is None else tiers.split(",")
    if not set(names) <= set(METRICS):
        raise click.BadParameter(f"metrics are {', '.join(METRICS)}.", param_hint="--metrics")
    if not set(wanted) <= set(map(str, TIERS)):
        raise click.BadParameter(f"tiers are 1 to {max(TIERS)}.", param_hint="--tiers")
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    nets, named, pack = _nets(model, threads)
    if rdo is not None and pack is None:
        raise click.UsageError("--rdo goes by the context model of a pack, and MODEL is none.")
    rows = measure(
        nets,
        data,
        weights,
        tiers=list(named) or [int(tier) for tier in wanted],
        most=most,
        crop_px=crop_px,
        metrics=names,
        pictures=pictures,
        names=named,
        pack=pack,
        rdo=rdo,
    )
    for row in rows:
        if console.is_json:
            console.record("train.measure", **asdict(row))
        else:
            console.result(str(row))


def _nets(model: str, threads: int) -> tuple[Nets, dict[int, str], Pack | None]:
    """Networks of a pack or of weights that a run wrote.

    Returns:
        The networks; what their codebook is called, by tier, where that is not "tier T"; the pack.
    """
    import torch

    from vqcodec.nets.load import load
    from vqcodec.packs import store
    from vqcodec.packs.manifest import MANIFEST_NAME
    from vqcodec.training.checkpoint import find_start, load_start
    from vqcodec.training.recipe import Codebooks

    torch.set_num_threads(threads)
    path = find_start(model)
    if (path.parent / MANIFEST_NAME).is_file():
        pack = store.load(path.parent)
        return load(pack, device="cpu", threads=threads), {}, pack
    start, named = load_start(path), {}
    if start.base is not None and not start.codebooks:
        # The file does not say under which condition it was trained: recipes leave it at this.
        tier = Codebooks().base_tier
        start.codebooks, named = {tier: start.base}, {tier: "base"}
    return start.tokenizer().to_nets(), named, None


def _note(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.isidentifier():
        raise InputError(f"--note {text!r}: wanted KEY=TEXT.")
    return key, value


COMMANDS = (average, export, measure)
