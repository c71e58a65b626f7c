"""`vqcodec models import`: a VQGAN checkpoint to a model pack. torch is imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.packs import store
from vqcodec.packs.manifest import NAME

_path = click.Path(path_type=Path)


def _check_name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not NAME.fullmatch(value):
        raise click.BadParameter(f"'{value[:70]}' is no pack's name; use letters, digits, . _ -")
    return value


@click.command(
    "import",
    epilog=shared.examples(
        "vqcodec models import last.ckpt --config model.yaml --name vqgan-f16",
        "vqcodec models import vqvae/ --name mine --data photos/ --licence MIT",
    ),
)
@click.argument("checkpoint", type=_path)
@click.option(
    "--config",
    metavar="FILE",
    type=_path,
    help="The YAML or JSON that the checkpoint was published with; weights that tell of another "
    "network are refused. Without it, the weights alone tell.",
)
@click.option("--name", required=True, callback=_check_name, help="Name of the pack.")
@click.option(
    "--data",
    type=_path,
    multiple=True,
    help="Folder or tar of photos, read-only; may be given more than once. Smaller codebooks are "
    "chosen and frequencies counted on them. Without it, codebooks are k-means of the words and "
    "frequencies uniform.",
)
@click.option(
    "--photos",
    "n_photos",
    type=click.IntRange(2),
    default=100,
    show_default=True,
    help="Photos to take of the data.",
)
@click.option(
    "--out",
    type=_path,
    default="models",
    show_default=True,
    help="Folder to write the pack's folder NAME into.",
)
@click.option(
    "--licence",
    metavar="TEXT",
    default="not stated",
    show_default=True,
    help="Licence of the weights, for manifest and card.",
)
@click.option("-f", "--force", "is_forced", is_flag=True, help="Replace a pack of that name.")
@click.option("--threads", metavar="N", type=click.IntRange(1), help="CPU threads to use.")
@shared.talk_options
def import_model(
    console: Console,
    checkpoint: Path,
    config: Path | None,
    name: str,
    data: tuple[Path, ...],
    n_photos: int,
    out: Path,
    licence: str,
    is_forced: bool,
    threads: int | None,
) -> None:
    """Make a model pack of CHECKPOINT, a VQGAN that others trained.

    CHECKPOINT is a .ckpt, .pt, .bin or .safetensors of taming-transformers,
    latent-diffusion or diffusers (VQ models of stride 8 or 16), or a folder in
    diffusers' layout. Nothing in it is run. docs/IMPORT.md tells more.
    """
    import torch

    from vqcodec.importing.pack import Order, import_checkpoint

    if threads is not None:
        torch.set_num_threads(threads)
    order = Order(
        checkpoint,
        name,
        out,
        config=config,
        data=data,
        n_photos=n_photos,
        licence=licence,
        is_forced=is_forced,
    )
    pack = store.load(import_checkpoint(order, console.say))
    pack.check()
    if console.is_json:
        console.record("models.import", **shared.pack_fields(pack), stride=pack.manifest.stride)
    console.say(f"{pack.path}: written and intact")
    console.say(f"use it: vqcodec encode photo.jpg --model {pack.path}")
