"""`vqcodec train restorer`: give a model pack what restores lost indices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.cli.train_options import data_option, map_run_options, path


@click.command(
    "restorer",
    epilog=shared.examples(
        "vqcodec train restorer models/mine --data photos/ --weights nets/ --out runs/restorer",
        "vqcodec train restorer photo-3 --start photo-3 --data photos/ --out runs/more",
    ),
)
@click.argument("pack", metavar="PACK")
@data_option
@click.option(
    "--weights",
    type=path,
    help="Folder of the frozen perceptual nets; with it the restorer also learns, in the last part "
    "of the time, what looks best, and not only what is likeliest.",
)
@map_run_options
@click.option("--start", metavar="PACK", help="A pack whose restorer to go on from.")
@click.option(
    "--device",
    metavar="DEVICE",
    default="auto",
    show_default=True,
    help="auto (a GPU if there is one), cpu or cuda[:N].",
)
@shared.talk_options
def restorer(
    console: Console,
    pack: str,
    data: tuple[Path, ...],
    weights: Path | None,
    recipe: str | None,
    out: Path,
    minutes: float | None,
    steps: int | None,
    is_resumed: bool,
    seed: int | None,
    threads: int,
    start: str | None,
    device: str,
) -> None:
    """Train what restores lost indices for PACK, a pack's name or folder.

    Its indices on training photos, with holes in them, are what is learned. The
    result is a copy of the pack in OUT under its name: the restorer decides
    what is painted where indices are lost, so files of the pack stay its files.
    """
    if minutes is not None and steps is not None:
        raise click.UsageError("--minutes and --steps exclude each other.")
    import torch

    from vqcodec.nets.restoring import load_restorer
    from vqcodec.packs import store
    from vqcodec.training.additions import add_restorer
    from vqcodec.training.map_recipes import RestorerRecipe
    from vqcodec.training.perceptual import perceptual
    from vqcodec.training.recipe import find_recipe, load_recipe
    from vqcodec.training.restorer_loop import JUDGE, train_restorer
    from vqcodec.training.schedule import Budget

    torch.set_num_threads(threads)
    how = (load_recipe(find_recipe(recipe)).restorer if recipe else None) or RestorerRecipe()
    how = how if seed is None else replace(how, seed=seed)
    found = store.find(pack)
    net = train_restorer(
        found,
        how,
        data,
        out,
        console.say,
        budget=Budget(60 * (minutes or how.minutes)) if steps is None else Budget(None, steps),
        judge=None if weights is None else perceptual(JUDGE, weights),
        start=None if start is None else load_restorer(store.find(start), device="cpu").net,
        is_resumed=is_resumed,
        device=device,
    )
    made = add_restorer(found, net, out / found.name, is_forced=is_resumed)
    copy = store.load(made.parent)
    copy.check()
    copy.check_restorer()
    console.say(f"{made.parent}: written and intact")
