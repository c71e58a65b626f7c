"""What a finished pack gets besides its tokenizer: a context model, a restorer.

The context model lies among the weights, so the pack becomes another one; the restorer is a file of
its own, and files that were made with the pack stay its files.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from vqcodec.errors import InputError
from vqcodec.nets.kernels import to_stored
from vqcodec.nets.restorer import Restorer
from vqcodec.packs.manifest import MANIFEST_NAME
from vqcodec.packs.store import RESTORER_NAME, WEIGHTS_NAME, Pack
from vqcodec.training.pack_files import begin_card, ordered, refuse_to_replace, write_pack

MAX_RESTORER_BYTES = 5 << 20


def add_context(
    pack: Pack, tensors: Mapping[str, Tensor], out: Path, *, is_forced: bool = False, **note: Any
) -> Path:
    """Write a copy of a pack that has a context model among its weights.

    A restorer goes along: it knows indices, and these are the same.

    Args:
        pack: to copy; a context model that it has is replaced.
        tensors: the integers, keys beginning with "context.".
        out: folder of the new pack, named after it.
        is_forced: replace the pack that is in the folder.
        note: more keys for the manifest's `[training]`.

    Returns:
        The manifest's path.

    Raises:
        OutputError: the folder cannot be written.
        OutputExistsError: there is a pack in it already.
    """
    refuse_to_replace(out, is_forced)
    pack.check()
    pack.check_restorer()
    with safe_open(pack.weights_path, framework="pt") as file:
        metadata = file.metadata() or {}
        kept = {key: file.get_tensor(key) for key in file.keys() if not key.startswith("context.")}
    blob = ordered(save({**kept, **tensors}, metadata))
    manifest = _manifest(pack, out.name, note)
    manifest["weights"] = _entry(blob)
    manifest["quality"] = {}
    blobs = {WEIGHTS_NAME: blob}
    if pack.manifest.restorer is not None:
        blobs[RESTORER_NAME] = pack.restorer_path.read_bytes()
    path = write_pack(out, blobs, manifest)
    begin_card(out, _n_parameters(pack))
    return path


def add_restorer(
    pack: Pack, net: Restorer, out: Path, *, is_forced: bool = False, **note: Any
) -> Path:
    """Write a copy of a pack that has a restorer; its weights and its weights id stay.

    Args:
        pack: to copy; a restorer that it has is replaced.
        net: what was trained; kernels and tables are stored in int8, the rest in f16.
        out: folder of the copy, the pack's own or another; the pack's name stays.
        is_forced: replace the pack that is in the folder.
        note: more keys for the manifest's `[training]`.

    Returns:
        The manifest's path.

    Raises:
        InputError: the restorer is larger than 5 MiB.
        OutputError: the folder cannot be written.
        OutputExistsError: there is a pack in it already.
    """
    refuse_to_replace(out, is_forced)
    pack.check()
    blob = save(to_stored(net.state_dict(), least_dim=2))
    if len(blob) > MAX_RESTORER_BYTES:
        raise InputError(
            f"the restorer takes {len(blob):,} bytes of at most {MAX_RESTORER_BYTES:,}: train one "
            "of less width, fewer blocks or fewer learned columns."
        )
    manifest = _manifest(pack, pack.name, note)
    manifest["restorer"] = {**_entry(blob), "config": net.config}
    blobs = {WEIGHTS_NAME: pack.weights_path.read_bytes(), RESTORER_NAME: blob}
    path = write_pack(out, blobs, manifest)
    begin_card(out, _n_parameters(pack))
    return path


def _manifest(pack: Pack, name: str, note: Mapping[str, Any]) -> dict[str, Any]:
    manifest = tomllib.loads((pack.path / MANIFEST_NAME).read_text(encoding="utf-8"))
    manifest["name"] = name
    manifest["training"] = {**manifest.get("training", {}), **note}
    return manifest


def _n_parameters(pack: Pack) -> int:
    """Count the weights of the pack's network, which a card names."""
    with safe_open(pack.weights_path, framework="pt") as file:
        keys = [key for key in file.keys() if key.startswith("net.")]
        return sum(math.prod(file.get_slice(key).get_shape()) for key in keys)


def _entry(blob: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)}
