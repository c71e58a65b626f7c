"""`vqcodec models compress`: a model pack to a smaller one. torch is imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.packs import store
from vqcodec.packs.manifest import NAME

_path = click.Path(path_type=Path)
_BITS = {"vq": "2, 3 or 4", "lowrank": "2, 3 or 4", "int": "2, 3, 4 or 8"}


def _check_out(_: click.Context, __: click.Parameter, value: Path) -> Path:
    if not NAME.fullmatch(value.name):
        raise click.BadParameter(
            f"'{value.name[:70]}' is no pack's name; use letters, digits, . _ -"
        )
    return value


@click.command(
    "compress",
    epilog=shared.examples(
        "vqcodec models compress photo-3 --bits 3 --data photos/ --out models/photo-3-small",
        "vqcodec models compress vqgan-f16 --bits 8 --method int --out models/vqgan-f16-int8",
    ),
)
@click.argument("pack", metavar="PACK")
@click.option(
    "--bits",
    type=click.Choice(["2", "3", "4", "8"]),
    required=True,
    help="Bits per weight of the networks' kernels; 8 with --method int alone.",
)
@click.option(
    "--method",
    type=click.Choice(list(_BITS)),
    default="vq",
    show_default=True,
    help="vq: sub-vectors as words of a table per layer; lowrank: words in fewer dimensions; both "
    "calibrated on photos. int: plain rounding, without photos.",
)
@click.option(
    "--data",
    type=_path,
    multiple=True,
    help="Folder or tar of photos, read-only; may be given more than once. 64 crops are taken.",
)
@click.option(
    "--out",
    type=_path,
    required=True,
    callback=_check_out,
    help="Folder of the new pack; its last part is the pack's name.",
)
@click.option(
    "--steps",
    "n_steps",
    metavar="N",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Steps of calibration per block.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of crops and of k-means.",
)
@click.option("-f", "--force", "is_forced", is_flag=True, help="Replace the pack that is there.")
@shared.machine_options
@shared.talk_options
def compress_pack(
    console: Console,
    pack: str,
    bits: str,
    method: str,
    data: tuple[Path, ...],
    out: Path,
    n_steps: int,
    seed: int,
    is_forced: bool,
    device: str,
    threads: int | None,
) -> None:
    """Make a smaller pack that reads and writes the files of PACK.

    PACK is a pack's name or folder. Codebooks, tables and restorer stay as they
    are, and so does the weights id; only the networks' kernels are coded. The
    embedded model took 12 to 18 minutes of a core that other work shared.
    """
    if bits not in _BITS[method]:
        raise click.UsageError(f"--method {method} knows {_BITS[method]} bits.")
    found = store.find(pack)
    from vqcodec.compression.compress import compress

    manifest = compress(
        found,
        out,
        bits=int(bits),
        method=method,
        data=data,
        n_steps=n_steps,
        device=device,
        threads=threads,
        seed=seed,
        is_forced=is_forced,
        say=console.say,
    )
    made = store.load(manifest.parent)
    made.check()
    before, after = found.manifest.weights_size_bytes, made.manifest.weights_size_bytes
    if console.is_json:
        console.record("models.compress", **shared.pack_fields(made), of=found.name)
    console.say(f"{out}: {after:,} bytes, {after / before:.0%} of {found.name}'s {before:,}")
