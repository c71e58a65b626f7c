"""`vqcodec train context`: give a model pack its context model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.train_options import data_option, map_run_options


@click.command(
    "context",
    epilog=shared.examples(
        "vqcodec train context models/mine --data photos/ --out runs/bits --name mine-2"
    ),
)
@click.argument("pack", metavar="PACK")
@data_option
@map_run_options
@click.option("--name", required=True, help="Name of the new pack, written to OUT/NAME.")
@click.option(
    "--start",
    metavar="MODEL",
    help="Weights whose context model to go on from: a pack or a .safetensors file.",
)
@shared.talk_options
def context(
    console: Console,
    pack: str,
    data: tuple[Path, ...],
    recipe: str | None,
    out: Path,
    name: str,
    minutes: float | None,
    steps: int | None,
    is_resumed: bool,
    start: str | None,
    seed: int | None,
    threads: int,
) -> None:
    """Train the context model of PACK, a pack's name or folder.

    Its indices on training photos are what is learned. The result is a new
    pack: the weights id of a pack covers its context model.
    """
    if minutes is not None and steps is not None:
        raise click.UsageError("--minutes and --steps exclude each other.")
    import torch

    from vqcodec.packs import store
    from vqcodec.training.additions import add_context
    from vqcodec.training.checkpoint import find_start
    from vqcodec.training.context_loop import train_context
    from vqcodec.training.map_recipes import Context
    from vqcodec.training.recipe import find_recipe, load_recipe
    from vqcodec.training.schedule import Budget

    torch.set_num_threads(threads)
    how = (load_recipe(find_recipe(recipe)).context if recipe else None) or Context()
    how = how if seed is None else replace(how, seed=seed)
    found = store.find(pack)
    budget = Budget(60 * (minutes or how.minutes)) if steps is None else Budget(None, steps)
    tensors = train_context(
        found,
        how,
        data,
        out,
        console.say,
        budget=budget,
        start=None if start is None else find_start(start),
        is_resumed=is_resumed,
    )
    made = add_context(found, tensors, out / name, is_forced=is_resumed)
    store.load(made.parent).check()
    console.say(f"{made.parent}: written and intact")
