"""The commands of `vqcodec train` that train: tokenizer, tiers, all, profile."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console, muted_libraries
from vqcodec.cli.shared import F
from vqcodec.cli.train_options import data_option, path, recipe_option, weights_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from vqcodec.packs.store import Pack
    from vqcodec.training.machine import Machine
    from vqcodec.training.map_recipes import Context, RestorerRecipe
    from vqcodec.training.recipe import Recipe


def _machine_options(function: F) -> F:
    """Add what `Machine` takes and every training command has."""
    for option in (
        click.option(
            "--precision",
            type=click.Choice(["auto", "float32", "bfloat16"]),
            default="auto",
            show_default=True,
            help="Arithmetic of the networks; auto takes bfloat16 where it is faster.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="CPU threads; beside other work one is faster than two.",
        ),
        click.option(
            "--device",
            metavar="DEVICE",
            default="auto",
            show_default=True,
            help="auto (a GPU if there is one), cpu or cuda[:N].",
        ),
        click.option(
            "--refuse",
            type=path,
            multiple=True,
            help="Folder of more images that must not be trained on; Kodak and CLIC never are.",
        ),
        click.option("--most", type=click.IntRange(1), help="Use only so many photos."),
        click.option(
            "--seed",
            type=click.IntRange(0),
            help="Another seed than the recipe's, for runs that will be averaged.",
        ),
        click.option(
            "--from",
            "start",
            metavar="MODEL",
            help="Weights to start from: a pack's name or folder, a run, or a .safetensors file.",
        ),
        weights_option,
        data_option,
    ):
        function = option(function)
    return function


def _run_options(function: F) -> F:
    """Add folder and budget of a run."""
    for option in (
        click.option(
            "--pictures-every",
            metavar="MINUTES",
            type=click.FloatRange(min=0, min_open=True),
            default=30.0,
            show_default=True,
            help="Minutes between the pictures that --val gives.",
        ),
        click.option(
            "--val",
            type=path,
            help="Folder or tar of photos to draw the progress on, into OUT/STAGE/pictures.",
        ),
        click.option("--resume", "is_resumed", is_flag=True, help="Go on with the run in OUT."),
        click.option(
            "--steps", type=click.IntRange(1), help="Steps of each stage instead of time."
        ),
        click.option(
            "--minutes",
            type=click.FloatRange(min=0, min_open=True),
            help="Time for the whole command, dealt to its stages as the recipe's minutes are.",
        ),
        click.option("--out", type=path, required=True, help="Folder of the run."),
    ):
        function = option(function)
    return function


@click.command("tokenizer")
@recipe_option(required=True)
@_run_options
@_machine_options
@shared.talk_options
def tokenizer(console: Console, recipe: str, **options: Any) -> None:
    """Train the network and its base codebook.

    Runs the recipe's tables [base] and [adversarial], those that it has.
    """
    _run(console, recipe, ("base", "adversarial"), options)


@click.command(
    "tiers",
    epilog=shared.examples(
        "vqcodec train tiers --from photo-3 --data my-photos/ --weights nets/ --out runs/tuned",
        "vqcodec train tiers --from models/mine --recipe paper --data photos/ --weights nets/"
        " --out runs/mine",
    ),
)
@recipe_option(default="fine-tune")
@_run_options
@_machine_options
@shared.talk_options
def tiers(console: Console, recipe: str, **options: Any) -> None:
    """Make the codebooks and tune them together with the network.

    Starts from the tokenizer in OUT, or from MODEL: this is how a model is
    tuned to photos of one's own.
    """
    _run(console, recipe, ("tiers",), options)


@click.command("all")
@recipe_option(required=True)
@click.option("--name", help="Name of the pack. Default: the recipe's.")
@_run_options
@_machine_options
@shared.talk_options
def everything(console: Console, recipe: str, name: str | None, **options: Any) -> None:
    """Run every stage of a recipe, then write the pack to OUT/NAME and check it.

    With --resume it goes on where it stopped.
    """
    from vqcodec.packs import store
    from vqcodec.training.checkpoint import load_start
    from vqcodec.training.export import export
    from vqcodec.training.perceptual import perceptual
    from vqcodec.training.recipe import find_recipe, load_recipe
    from vqcodec.training.restorer_loop import JUDGE

    wanted = load_recipe(find_recipe(recipe))
    if wanted.restorer is not None:
        perceptual(JUDGE, options["weights"])  # at the end of a long run it would be missed late
    later = [table for table in (wanted.context, wanted.restorer) if table is not None]
    minutes = options["minutes"]
    if minutes is not None:  # each part has its share of the time
        stages = sum(stage.minutes for stage in wanted.stages.values())
        scale = minutes / (stages + sum(table.minutes for table in later))
        later = [replace(table, minutes=table.minutes * scale) for table in later]
        options["minutes"] = stages * scale
    ema, made, machine = _run(console, recipe, ("base", "adversarial", "tiers"), options)
    if not machine.world.is_first:
        return
    made = replace(made, name=name or made.name)
    pack = machine.out / made.name
    forced = machine.is_resumed  # the pack is this run's own
    export(load_start(ema), made, machine.data, pack, is_forced=forced, say=machine.say)
    for table in later:
        _add(store.load(pack), table, machine)
    store.load(pack).check()
    store.load(pack).check_restorer()
    machine.say(f"{pack}: intact. Use it with '--model {pack}'.")


def _add(pack: Pack, how: Context | RestorerRecipe, machine: Machine) -> None:
    """Train what learns from the pack's index maps, and put it into the pack."""
    from vqcodec.training.additions import add_context, add_restorer
    from vqcodec.training.context_loop import train_context
    from vqcodec.training.map_recipes import Context
    from vqcodec.training.perceptual import perceptual
    from vqcodec.training.restorer_loop import JUDGE, train_restorer
    from vqcodec.training.schedule import Budget

    budget = Budget(60 * how.minutes if machine.steps is None else None, machine.steps)
    data, say, resumed = machine.data, machine.say, machine.is_resumed
    if isinstance(how, Context):
        folder = machine.out / "context"
        tensors = train_context(pack, how, data, folder, say, budget=budget, is_resumed=resumed)
        add_context(pack, tensors, pack.path, is_forced=True)
        return
    folder, judge = machine.out / "restorer", perceptual(JUDGE, machine.weights)
    net = train_restorer(
        pack,
        how,
        data,
        folder,
        say,
        budget=budget,
        judge=judge,
        is_resumed=resumed,
        device=str(machine.world.device),
    )
    add_restorer(pack, net, pack.path, is_forced=True)


@click.command("profile")
@recipe_option(required=True)
@click.option(
    "--stage",
    type=click.Choice(["base", "adversarial", "tiers"]),
    default="tiers",
    show_default=True,
    help="Which table of the recipe.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=10, show_default=True, help="Steps to measure."
)
@_machine_options
@shared.talk_options
def profile(console: Console, recipe: str, stage: str, steps: int, **options: Any) -> None:
    """Measure images per second, where a step's time goes, and memory."""
    from vqcodec.training.profile import profile

    with tempfile.TemporaryDirectory() as out:
        made, machine = _machine(console, recipe, {**options, "out": Path(out)})
        (machine.out / stage).mkdir()
        with muted_libraries():  # torch's profiler writes to stderr
            measured = profile(made, machine, stage, steps)
    if console.is_json:
        console.record("train.profile", images_per_s=measured.images_per_s, **asdict(measured))
    else:
        console.result(str(measured))


def _run(
    console: Console, recipe: str, among: tuple[str, ...], options: dict[str, Any]
) -> tuple[Path, Recipe, Machine]:
    """Run stages; return the last weights with recipe and machine."""
    from vqcodec.training.stages import run_stages

    if options["minutes"] is not None and options["steps"] is not None:
        raise click.UsageError("--minutes and --steps exclude each other.")
    made, machine = _machine(console, recipe, options)
    try:
        return run_stages(made, machine, among), made, machine
    finally:
        machine.world.close()


def _machine(console: Console, recipe: str, options: dict[str, Any]) -> tuple[Recipe, Machine]:
    from vqcodec.training.machine import Machine
    from vqcodec.training.recipe import find_recipe, load_recipe
    from vqcodec.training.world import World

    made = load_recipe(find_recipe(recipe))
    world = World(options.pop("device"), options.pop("precision"), options["threads"])
    say: Callable[[str], None] = console.say if world.is_first else lambda _: None
    return made, Machine(say=say, world=world, **options)


COMMANDS = (tokenizer, tiers, everything, profile)
