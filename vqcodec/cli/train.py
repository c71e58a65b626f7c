"""`vqcodec train`: from photos to a model pack. Everything that needs torch is imported late."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vqcodec.nets.load import Nets

_path = click.Path(path_type=Path)
_RECIPE = "models/recipes/photo-1.toml"


@click.group(
    no_args_is_help=True,
    epilog=shared.examples(
        f"vqcodec train tokenizer --recipe {_RECIPE} --data photos/ --weights weights/"
        " --out runs/base --minutes 60",
        f"vqcodec train tiers --recipe {_RECIPE} --start runs/base/ema.safetensors"
        " --data photos/ --weights weights/ --out runs/tiers --minutes 60",
        f"vqcodec train export --recipe {_RECIPE} --start runs/tiers/ema.safetensors"
        " --data photos/ --out models/photo-1",
    ),
)
def train() -> None:
    """Make a model pack from photos; docs/TRAINING.md tells the walk.

    Needs the extra [train]: pip install 'vqcodec[train]'.
    """


def _recipe_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--recipe", "--config", "recipe", type=_path, required=True, help="Recipe, a TOML file."
    )(function)


def _data_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data", type=_path, required=True, help="Folder or tar of photos, read-only."
    )(function)


def _weights_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--weights",
        type=_path,
        required=True,
        help="Folder of the frozen perceptual nets (squeeze, vgg19, ... .safetensors).",
    )(function)


def _threads_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--threads",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="CPU threads; beside other work one is faster than two.",
    )(function)


def _stage_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--most", type=click.IntRange(1), help="Use only so many photos."),
        click.option(
            "--seed",
            type=int,
            help="Another seed than the recipe's, for runs that will be averaged.",
        ),
        click.option("--resume", "is_resumed", is_flag=True, help="Go on from OUT/last.pt."),
        _threads_option,
        click.option(
            "--minutes",
            type=click.FloatRange(min=0, min_open=True),
            required=True,
            help="Time budget; schedules follow the share of it that is spent.",
        ),
        click.option("--out", type=_path, required=True, help="Folder of the run."),
        click.option("--start", type=_path, help="Weights to start from (.safetensors)."),
        _weights_option,
        _data_option,
        _recipe_option,
    ):
        function = option(function)
    return function


@train.command("tokenizer")
@_stage_options
@shared.talk_options
def train_tokenizer(console: Console, **options: Any) -> None:
    """Train the network and its base codebook (stage 1)."""
    from vqcodec.training import stages
    from vqcodec.training.recipe import load_recipe

    recipe = load_recipe(options.pop("recipe"))
    stages.train_tokenizer(recipe, stages.Machine(say=console.say, **options))


@train.command("tiers")
@_stage_options
@shared.talk_options
def train_tiers(console: Console, **options: Any) -> None:
    """Cluster the base codebook to nine tiers and tune them together (stage 2)."""
    from vqcodec.training import stages
    from vqcodec.training.recipe import load_recipe

    recipe = load_recipe(options.pop("recipe"))
    stages.train_tiers(recipe, stages.Machine(say=console.say, **options))


@train.command("average")
@click.argument("runs", nargs=-1, required=True, type=_path, metavar="RUN.safetensors...")
@click.option("--out", type=_path, required=True, help="File to write.")
@shared.talk_options
def train_average(console: Console, runs: tuple[Path, ...], out: Path) -> None:
    """Average the weights of runs that differ only in their seed.

    The runs share --start (the first one's start.safetensors) and recipe; each may have had a
    processor of its own.
    """
    from vqcodec.training.average import average

    average(runs, out)
    console.say(f"{out}: the mean of {len(runs)} runs")


@train.command("export")
@_recipe_option
@click.option("--start", type=_path, required=True, help="A run's ema.safetensors.")
@_data_option
@click.option("--out", type=_path, required=True, help="Folder of the pack.")
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
@_threads_option
@shared.talk_options
def train_export(
    console: Console,
    recipe: Path,
    start: Path,
    data: Path,
    out: Path,
    n_photos: int,
    is_f16: bool,
    notes: tuple[str, ...],
    threads: int,
) -> None:
    """Write a model pack from a run's averaged weights."""
    import torch

    from vqcodec.training.checkpoint import load_start
    from vqcodec.training.export import export
    from vqcodec.training.recipe import load_recipe

    torch.set_num_threads(threads)
    manifest = export(
        load_start(start),
        load_recipe(recipe),
        data,
        out,
        n_photos=n_photos,
        int8=not is_f16,
        training=dict(_note(note) for note in notes),
        say=console.say,
    )
    console.say(f"{manifest.parent}: written")


@train.command("measure")
@click.argument("model", type=_path)
@_data_option
@_weights_option
@click.option(
    "--tiers",
    default="1,2,3,4,5,6,7,8,9",
    show_default=True,
    metavar="T,T,...",
    help="Tiers to measure.",
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
    "--metrics", default="squeeze,vgg19,alex", show_default=True, help="Distances to measure."
)
@click.option("--pictures", type=_path, help="Folder for side-by-side PNGs.")
@_threads_option
@shared.talk_options
def train_measure(
    console: Console,
    model: Path,
    data: Path,
    weights: Path,
    tiers: str,
    most: int,
    crop_px: int,
    metrics: str,
    pictures: Path | None,
    threads: int,
) -> None:
    """Measure MODEL, a pack's folder or a run's .safetensors, on photos."""
    from dataclasses import asdict

    from vqcodec.training.measure import METRICS, measure

    names, wanted = [name for name in metrics.split(",") if name], tiers.split(",")
    if not set(names) <= set(METRICS):
        raise click.BadParameter(f"metrics are {', '.join(METRICS)}.", param_hint="--metrics")
    if not set(wanted) <= set("123456789"):
        raise click.BadParameter("tiers are 1 to 9.", param_hint="--tiers")
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    rows = measure(
        _nets(model, threads),
        data,
        weights,
        tiers=[int(tier) for tier in wanted],
        most=most,
        crop_px=crop_px,
        metrics=names,
        pictures=pictures,
    )
    for row in rows:
        if console.is_json:
            console.record("train.measure", **asdict(row))
        else:
            console.result(str(row))


def _nets(model: Path, threads: int) -> Nets:
    """Networks of a pack's folder, or of weights that a run wrote."""
    import torch

    if model.is_dir():
        from vqcodec.nets.load import load
        from vqcodec.packs import store

        return load(store.find(model), device="cpu", threads=threads)
    from vqcodec.training.checkpoint import load_start

    torch.set_num_threads(threads)
    return load_start(model).tokenizer().to_nets()


def _note(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.isidentifier():
        raise InputError(f"--note {text!r}: wanted KEY=TEXT.")
    return key, value
