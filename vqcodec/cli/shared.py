"""What several commands share: options, each with one name and one check, and JSON fields."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vqcodec.backends import BACKENDS
from vqcodec.bitstream.layout import MAX_PIXELS, TIERS
from vqcodec.cli.console import Console, remember_debug
from vqcodec.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vqcodec.inspection import StreamInfo
    from vqcodec.packs.store import Pack

F = TypeVar("F", bound="Callable[..., Any]")

# What is wrong with a file is no wrong usage: click is not to judge it.
_PATH = click.Path(allow_dash=True, readable=False)
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def examples(*commands: str) -> str:
    """Return the part of a help text that shows commands as typed, for click's `epilog`."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def inputs_argument(function: F) -> F:
    """Add `IN...`."""
    return click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=_PATH)(function)


def output_options(function: F) -> F:
    """Add `-o/--output` and `-f/--force`."""
    function = click.option(
        "-f", "--force", "is_forced", is_flag=True, help="Overwrite outputs that exist."
    )(function)
    return click.option(
        "-o",
        "--output",
        metavar="OUT",
        type=_PATH,
        help="File or folder to write, or - for stdout. Without it: beside the input, with the "
        "suffix changed.",
    )(function)


def model_option(function: F) -> F:
    """Add `-m/--model`."""
    return click.option(
        "-m",
        "--model",
        metavar="MODEL",
        help="Name or folder of a model pack. Names are looked for in the folders that the "
        "environment variable VQCODEC_MODELS lists, then among the packs that come with vqcodec.",
    )(function)


def tier_option(function: F) -> F:
    """Add `-t/--tier`."""
    return click.option(
        "-t",
        "--tier",
        metavar="TIER",
        callback=_check_tier,
        help=f"{min(TIERS)} (smallest file) to {max(TIERS)} (best picture), of those that the pack "
        "has (see 'vqcodec models list'). Default: the pack's own, usually 8.",
    )(function)


def max_pixels_option(function: F) -> F:
    """Add `--max-pixels`."""
    return click.option(
        "--max-pixels",
        metavar="N",
        type=click.IntRange(min=1),
        default=MAX_PIXELS,
        help=f"Refuse images of more than N pixels. Default: {MAX_PIXELS:,}.",
    )(function)


def machine_options(function: F) -> F:
    """Add `--device` and `--threads`."""
    function = click.option(
        "--threads", metavar="N", type=click.IntRange(min=1), help="CPU threads to use."
    )(function)
    return click.option(
        "--device",
        metavar="DEVICE",
        callback=_check_device,
        default="auto",
        help="Where the networks run: auto (a GPU if there is one), cpu or cuda[:N].",
    )(function)


def backend_option(function: F) -> F:
    """Add `--backend`."""
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default="auto",
        help="What runs the networks: torch, onnx (onnxruntime, on the CPU) or auto, torch where "
        "it is installed, else onnx. Default: auto.",
    )(function)


def talk_options(function: F) -> Callable[..., None]:
    """Add `--json`, `-q/--quiet`, `-v/--verbose` and `--debug`; stands next to the function.

    The function gets a `console` in their place, and the command ends with the console's exit code.
    """

    @functools.wraps(function)
    def command(*, is_json: bool, is_quiet: bool, is_verbose: bool, **options: Any) -> None:
        console = Console(is_quiet=is_quiet, is_verbose=is_verbose, is_json=is_json)
        function(console=console, **options)
        click.get_current_context().exit(console.exit_code)

    options = (
        click.option(
            "--json", "is_json", is_flag=True, help="One JSON object per input on stdout."
        ),
        click.option(
            "-q", "--quiet", "is_quiet", is_flag=True, help="Say nothing on stderr but errors."
        ),
        click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Say more on stderr."),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=lambda context, _, value: remember_debug(context, value),
            help="Show the traceback of a failure.",
        ),
    )
    decorated: Callable[..., None] = command
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def device_used(device: str, backend: str) -> str:
    """Say where the networks ran, once they did: what `auto` came to.

    Args:
        device: as asked for.
        backend: "torch" or "onnx", which ran them.
    """
    if backend == "onnx":
        return "onnxruntime, device cpu"
    if device != "auto":
        return f"device {device}"
    import torch

    return "device cuda" if torch.cuda.is_available() else "no GPU found, device cpu"


def stream_fields(info: StreamInfo, pack: Pack) -> dict[str, Any]:
    """Return the fields that the JSON records of `encode` and `decode` have in common."""
    return {
        "width_px": info.width_px,
        "height_px": info.height_px,
        "model": pack.name,
        "weights_id": f"{info.weights_id:04x}",
        "tier": info.tier,
        "codebook_size": info.codebook_size,
        "coding": info.coding,
        "size_bytes": info.size_bytes,
        "bpp": info.bpp,
    }


def default_path() -> Path | None:
    """Return the default pack's folder, None when it is not there or broken."""
    from vqcodec.packs import store  # numpy comes with it, which `info` goes without

    try:
        return store.find().path
    except ModelError:
        return None


def pack_fields(pack: Pack) -> dict[str, Any]:
    """Return the fields that all JSON records of one pack have in common."""
    return {
        "name": pack.name,
        "path": str(pack.path),
        "is_default": pack.path == default_path(),
        "summary": pack.manifest.summary,
        "licence": pack.manifest.licence,
        "weights_id": f"{pack.weights_id:04x}",
        "weights_sha256": pack.digest,
        "weights_size_bytes": pack.manifest.weights_size_bytes,
        "default_tier": pack.manifest.default_tier,
        "tiers": [
            {"tier": entry.tier, "codebook_size": entry.codebook_size}
            for entry in pack.manifest.tiers
        ],
        "compressed_from": pack.manifest.compressed and pack.manifest.compressed.of,
    }


def _check_tier(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if value not in map(str, TIERS):
        low, high = min(TIERS), max(TIERS)
        raise click.BadParameter(
            f"'{value}' is no tier; tiers are {low} (smallest file) to {high} (best picture)."
        )
    return int(value)


def _check_device(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise click.BadParameter(f"'{value}' is no device; use auto, cpu or cuda[:N].")
    return value
