"""Options that the commands of `vqcodec train` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqcodec.cli.shared import F

if TYPE_CHECKING:
    from collections.abc import Callable

path = click.Path(path_type=Path)


def recipe_option(**more: Any) -> Callable[[F], F]:
    """Add `--recipe`."""
    text = "Recipe: a name of those that come with the models, or a TOML file."
    is_shown = "default" in more
    return click.option(
        "--recipe", "--config", "recipe", metavar="RECIPE", show_default=is_shown, help=text, **more
    )


def data_option(function: F) -> F:
    """Add `--data`, which may be repeated."""
    return click.option(
        "--data",
        type=path,
        multiple=True,
        required=True,
        help="Folder or tar of photos, read-only; may be given more than once.",
    )(function)


def weights_option(function: F) -> F:
    """Add `--weights`."""
    return click.option(
        "--weights",
        type=path,
        required=True,
        help="Folder of the frozen perceptual nets (squeeze, vgg19, ... .safetensors).",
    )(function)


def map_run_options(function: F) -> F:
    """Add what the runs that learn from index maps have in common."""
    options = (
        recipe_option(),
        click.option("--out", type=path, required=True, help="Folder of the run."),
        click.option(
            "--minutes",
            type=click.FloatRange(min=0, min_open=True),
            help="Time for the training; index maps are made before it. Default: the recipe's.",
        ),
        click.option("--steps", type=click.IntRange(1), help="Steps instead of time."),
        click.option("--resume", "is_resumed", is_flag=True, help="Go on with the run in OUT."),
        click.option("--seed", type=click.IntRange(0), help="Another seed than the recipe's."),
        click.option(
            "--threads", type=click.IntRange(1), default=1, show_default=True, help="CPU threads."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
