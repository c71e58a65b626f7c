"""`vqcodec models`: which model packs are there, what they are, are they whole; no torch.

Commands that make packs have modules of their own and load torch when they run.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from vqcodec.cli import models_compress, models_export, models_import, shared
from vqcodec.cli.console import Console
from vqcodec.errors import ModelNotFoundError
from vqcodec.packs import store
from vqcodec.packs.manifest import MANIFEST_NAME
from vqcodec.packs.store import Pack

_name_argument = click.argument("name", required=False, default=None, metavar="[NAME]")


@click.group(
    no_args_is_help=True,
    epilog=shared.examples("vqcodec models list", "vqcodec models check photo-3"),
)
def models() -> None:
    """List, check and export model packs; make one of a checkpoint.

    Packs are looked for in the folders that the environment variable
    VQCODEC_MODELS lists, then among those that come with vqcodec.
    """


@models.command("list", epilog=shared.examples("vqcodec models list --json"))
@shared.talk_options
def list_packs(console: Console) -> None:
    """List the packs that can be found; a star marks the default."""
    packs = store.available()
    if not packs:
        console.say("no model pack found; set VQCODEC_MODELS to a folder of packs")
    default = shared.default_path()
    width = max((len(pack.name) for pack in packs), default=0)
    for pack in packs:
        if console.is_json:
            console.record("models.list", **shared.pack_fields(pack))
            continue
        tiers = [entry.tier for entry in pack.manifest.tiers]
        console.result(
            f"{'*' if pack.path == default else ' '} {pack.name:{width}}  "
            f"tiers {tiers[0]} to {tiers[-1]}  {pack.manifest.weights_size_bytes / 2**20:5.1f} MiB"
            f"  {pack.manifest.summary}"
        )


@models.command("show", epilog=shared.examples("vqcodec models show photo-3"))
@_name_argument
@shared.talk_options
def show_pack(name: str | None, console: Console) -> None:
    """Show what a pack's manifest says.

    NAME is a pack's name or folder; without it, the default pack is shown.
    """
    pack = store.find(name)
    manifest = pack.manifest
    if console.is_json:
        console.record(
            "models.show",
            **shared.pack_fields(pack),
            stride=manifest.stride,
            net_kind=manifest.net_kind,
            net_config=dict(manifest.net_config),
            context_tiers=pack.context_tiers(),
            restorer=_restorer(pack),
            training=_plain(dict(manifest.training)),
            quality=_plain(dict(manifest.quality)),
        )
        return
    lines = [
        f"{pack.name}: {manifest.summary}",
        f"  folder       {pack.path}",
        f"  licence      {manifest.licence}",
        f"  weights      {manifest.weights_size_bytes:,} bytes, id {pack.weights_id:04x}",
        f"  sha256       {pack.digest}",
        f"  network      {manifest.net_kind}, stride {manifest.stride}",
    ]
    coded = pack.context_tiers()
    if coded:
        lines.append(f"  context      model for the tiers {', '.join(map(str, coded))}")
    if manifest.restorer is not None:
        entry = manifest.restorer
        lines.append(f"  restorer     {entry.size_bytes:,} bytes, sha256 {entry.sha256}")
    if manifest.compressed is not None:
        found = manifest.compressed
        lines.append(f"  compressed   {found.of}, {found.method} at {found.bits} bits")
    lines += [
        f"  tier {entry.tier:<2}      {entry.codebook_size} words"
        f"{' (default)' if entry.tier == manifest.default_tier else ''}"
        for entry in manifest.tiers
    ]
    for heading, values in (("training", manifest.training), ("quality", manifest.quality)):
        lines += [f"  {heading:12} {key}: {value}" for key, value in values.items()]
    console.result("\n".join(lines))


@models.command("check", epilog=shared.examples("vqcodec models check && echo all intact"))
@_name_argument
@shared.talk_options
def check_packs(name: str | None, console: Console) -> None:
    """Check a pack's manifest, weights and restorer.

    Without NAME, all packs that can be found are checked. Exit code 5 when one
    is broken.
    """
    folders = _all_folders() if name is None else [store.find(name).path]
    if not folders:
        raise ModelNotFoundError("no model pack found. Set VQCODEC_MODELS to a folder of packs.")

    def work(folder: Path) -> None:
        pack = store.load(folder)
        pack.check()
        pack.check_restorer()
        if console.is_json:
            console.record("models.check", **shared.pack_fields(pack), is_intact=True)
        elif not console.is_quiet:
            console.result(f"{pack.name}: intact ({pack.path})")

    for folder in folders:
        console.attempt("", partial(work, folder))


@models.command("path", epilog=shared.examples('cat "$(vqcodec models path photo-3)/CARD.md"'))
@_name_argument
@shared.talk_options
def show_path(name: str | None, console: Console) -> None:
    """Print the folder of a pack.

    NAME is a pack's name or folder; without it, the default pack is meant.
    """
    pack = store.find(name)
    if console.is_json:
        console.record("models.path", name=pack.name, path=str(pack.path))
    else:
        console.result(str(pack.path))


models.add_command(models_import.import_model)
models.add_command(models_compress.compress_pack)
models.add_command(models_export.export_pack)


def _all_folders() -> list[Path]:
    """List the folders that hold a manifest, with the broken ones that `available` leaves out."""
    roots = [root for root in store.search_folders() if root.is_dir()]
    return [path.parent for root in roots for path in sorted(root.glob(f"*/{MANIFEST_NAME}"))]


def _restorer(pack: Pack) -> dict[str, object] | None:
    """Return what the manifest says of the restorer's file, None where the pack has none."""
    entry = pack.manifest.restorer
    return None if entry is None else {"sha256": entry.sha256, "size_bytes": entry.size_bytes}


def _plain(value: object) -> object:
    """Make TOML's dates into text, which JSON has no type for."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, (str, int, float, bool)) else str(value)
