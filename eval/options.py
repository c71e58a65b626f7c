"""What the commands of `python -m eval` share: options, and folders that the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
Callback = Callable[[click.Context, click.Parameter, str], Any]
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)


def named_folder(variable: str, *parts: str) -> Path | None:
    """A folder named by an environment variable, with parts below it; None where it is not set."""
    value = os.environ.get(variable)
    return Path(value, *parts) if value else None


def existing(path: Path | None) -> Path | None:
    """The path itself if there is something, else None."""
    return path if path and path.exists() else None


def images_folder(data: Path | None) -> Path:
    """The folder asked for, else the one that the environment names."""
    data = data or named_folder("VQCODEC_DATA", "kodak")
    if data is None:
        raise click.UsageError("no images: give --data, or set VQCODEC_DATA")
    return data


def _tiers(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    """Read numbers; none stands for all tiers that there are."""
    del context, parameter
    if value == "all":
        return []
    try:
        tiers = sorted({int(part) for part in value.split(",")})
    except ValueError:
        tiers = []
    if not tiers or tiers[0] < 1:
        raise click.BadParameter("expected numbers from 1 on, separated by commas, or 'all'")
    return tiers


def names(known: Sequence[str], everything: Sequence[str] | None) -> Callback:
    """Make a callback that reads 'all', 'none' or some of `known`, separated by commas.

    Args:
        known: what may be named.
        everything: what 'all' becomes.
    """

    def read(
        context: click.Context, parameter: click.Parameter, value: str
    ) -> Sequence[str] | None:
        del context, parameter
        if value in ("all", "none"):
            return everything if value == "all" else ()
        chosen = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        unknown = [part for part in chosen if part not in known]
        if unknown:
            raise click.BadParameter(
                f"'{unknown[0]}' is not known; choose from {', '.join(known)}, or 'all' or 'none'"
            )
        return chosen

    return read


data = click.option("--data", type=FOLDER, help="Folder of images; else $VQCODEC_DATA/kodak.")
tiers = click.option(
    "--tiers", default="all", show_default=True, callback=_tiers, help="Such as 1,4,8."
)
focus_tiers = click.option(
    "--tiers", default="4,8", show_default=True, callback=_tiers, help="Tiers in focus; or 'all'."
)
jobs = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default="one per core",
    help="Processes that share the work.",
)
model = click.option("-m", "--model", metavar="NAME|DIR", help="Model pack; else the default.")
threads = click.option("--threads", type=click.IntRange(1), help="CPU threads of the networks.")
json_path = click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Results file."
)
