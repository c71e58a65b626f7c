"""`vqcodec models export`: a pack's networks for other programs; onnx is imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from vqcodec.cli import shared
from vqcodec.cli.console import Console
from vqcodec.packs import store


@click.command(
    "export",
    epilog=shared.examples(
        "vqcodec models export photo-3 --onnx exported/",
        "vqcodec models export models/photo-3 --onnx docs/viewer/public/model -f",
    ),
)
@click.argument("pack", metavar="PACK")
@click.option(
    "--onnx",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the ONNX graphs, the tables and model.json; made where it is missing.",
)
@click.option("-f", "--force", "is_forced", is_flag=True, help="Replace an export that is there.")
@shared.talk_options
def export_pack(console: Console, pack: str, folder: Path, is_forced: bool) -> None:
    """Write a pack's networks as ONNX graphs, for programs without torch.

    PACK is a pack's name or folder. The same pack always gives the same bytes:
    encoder.onnx, decoder.onnx, restorer.onnx where the pack has one,
    tables.safetensors for reading and writing files, and model.json, which
    says what they are. Networks of the kind "taming" see pictures whole, of
    at most so many positions as model.json says.
    """
    found = store.find(pack)
    from vqcodec.onnx.export import export

    files = export(found, folder, is_forced=is_forced)
    sizes = {name: len(data) for name, data in sorted(files.items())}
    if console.is_json:
        console.record(
            "models.export", **shared.pack_fields(found), output=str(folder), files=sizes
        )
    for name, size in sizes.items():
        console.detail(f"{name}: {size:,} bytes")
    console.say(f"{folder}: {len(files)} files, {sum(sizes.values()):,} bytes, of {found.name}")
