"""From a run's averaged weights to a complete model pack.

Kernels go to int8, the rest to f16; frequency tables are counted on training photos with the model
as it will be used, that is after this rounding. `CARD.md` is begun, and left alone where there is
one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from vqcodec.entropy import frequencies
from vqcodec.errors import InputError, OutputError, OutputExistsError
from vqcodec.nets.autoencoder import build, count_parameters
from vqcodec.nets.kernels import from_stored, to_stored
from vqcodec.nets.load import Nets
from vqcodec.packs.manifest import MANIFEST_NAME, read_manifest
from vqcodec.packs.store import Pack
from vqcodec.training.card import card
from vqcodec.training.checkpoint import Start
from vqcodec.training.photos import read_photos
from vqcodec.training.recipe import Recipe
from vqcodec.training.tokenizer import tiers_of

WEIGHTS_NAME, CARD_NAME = "weights.safetensors", "CARD.md"


def export(
    start: Start,
    recipe: Recipe,
    data: Sequence[Path],
    out: Path,
    *,
    n_photos: int = 300,
    int8: bool = True,
    is_forced: bool = False,
    training: Mapping[str, Any] | None = None,
    quality: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write a pack folder.

    Args:
        start: averaged weights with a base codebook and one for each tier of the network.
        recipe: name, summary, licence and default tier for the manifest.
        data: training photos to count frequencies on, as whole photos.
        out: folder of the pack.
        n_photos: photos to count on, the first in order of name.
        int8: off writes f16 kernels (to measure what int8 costs).
        is_forced: replace the pack that is in the folder.
        training: more keys for the manifest's `[training]`.
        quality: keys for the manifest's `[quality]`.
        say: takes progress lines.

    Returns:
        The manifest's path.

    Raises:
        InputError: codebooks or photos are missing, or the default tier is none of them.
        OutputError: the folder cannot be written.
        OutputExistsError: there is a pack in it already.
    """
    _refuse_to_replace(out, is_forced)
    wanted = tiers_of(start.outline())
    missing = [str(tier) for tier in wanted if tier not in start.codebooks]
    if missing:
        raise InputError(
            f"these weights have no codebook for tier {', '.join(missing)}: run 'vqcodec train "
            "tiers' first."
        )
    if recipe.default_tier not in wanted:
        raise InputError(
            f"the recipe's default_tier is {recipe.default_tier}, and the weights' tiers end at "
            f"{wanted[-1]}: export with another --recipe.",
            field="default_tier",
        )
    if start.base is None:
        raise InputError(
            "these weights have no base codebook: run 'vqcodec train tokenizer' first."
        )
    tensors = {f"net.{k}": v for k, v in to_stored(start.state, int8=int8).items()}
    tensors["base.codewords"] = start.base.half()
    codebooks = {tier: words.half() for tier, words in sorted(start.codebooks.items())}
    nets = _stored_nets(start, tensors, codebooks)
    counts = count(nets, data, n_photos, say)
    for tier, words in codebooks.items():
        tensors[f"tier.{tier}.codewords"] = words
        table = frequencies.from_counts(counts[tier])
        tensors[f"tier.{tier}.frequencies"] = torch.from_numpy(table.astype(np.uint16))
    config = dict(start.config)
    blob = _sorted(
        save({key: value.contiguous() for key, value in tensors.items()}, _metadata(start))
    )
    manifest = _manifest(recipe, start.kind, nets.stride, config, blob, codebooks)
    manifest["training"] = {**recipe.training, **(training or {}), "frequency_photos": n_photos}
    manifest["quality"] = dict(quality or {})
    path = _write(out, blob, manifest)
    _begin_card(out, count_parameters(nets.net))
    return path


def add_context(
    pack: Pack, tensors: Mapping[str, Tensor], out: Path, *, is_forced: bool = False, **note: Any
) -> Path:
    """Write a copy of a pack that has a context model among its weights.

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
    _refuse_to_replace(out, is_forced)
    pack.check()
    with safe_open(pack.weights_path, framework="pt") as file:
        metadata = file.metadata() or {}
        kept = {key: file.get_tensor(key) for key in file.keys() if not _is_context(key)}
    blob = _sorted(save({**kept, **tensors}, metadata))
    manifest = tomllib.loads((pack.path / MANIFEST_NAME).read_text(encoding="utf-8"))
    manifest["name"] = out.name
    manifest["weights"] = {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)}
    manifest["training"] = {**manifest.get("training", {}), **note}
    manifest["quality"] = {}
    path = _write(out, blob, manifest)
    _begin_card(out, sum(tensor.numel() for key, tensor in kept.items() if key.startswith("net.")))
    return path


def _is_context(key: str) -> bool:
    return key.startswith("context.")


def _refuse_to_replace(out: Path, is_forced: bool) -> None:
    if (out / MANIFEST_NAME).exists() and not is_forced:
        raise OutputExistsError(
            f"{out}: a model pack is there already. Name another, or replace it with --force.",
            path=out,
        )


def _begin_card(out: Path, n_parameters: int) -> None:
    if not (out / CARD_NAME).exists():
        text = card(read_manifest(out), n_parameters, (), "")
        (out / CARD_NAME).write_text(text, encoding="utf-8")


def count(
    nets: Nets, data: Sequence[Path], n_photos: int, say: Callable[[str], None]
) -> dict[int, NDArray[np.int64]]:
    """Count indices per tier over photos, cut to multiples of the stride."""
    totals = {
        tier: np.zeros(len(words), np.int64) for tier, words in sorted(nets.codebooks.items())
    }
    seen, photos = 0, chain.from_iterable(map(read_photos, data))
    for seen, (_, pixels) in enumerate(islice(photos, n_photos), 1):
        height, width = (size // nets.stride * nets.stride for size in pixels.shape[:2])
        for tier, total in totals.items():
            indices = nets.to_indices(np.ascontiguousarray(pixels[:height, :width]), tier)
            total += np.bincount(indices.ravel(), minlength=len(total))
        if seen % 50 == 0:
            say(f"counted {seen} of {n_photos} photos")
    if not seen:
        raise InputError(f"{', '.join(map(str, data))}: no photos found.")
    return totals


def _stored_nets(
    start: Start, tensors: Mapping[str, Tensor], codebooks: Mapping[int, Tensor]
) -> Nets:
    net = build(start.kind, start.config)
    net.load_state_dict(from_stored({k[4:]: v for k, v in tensors.items() if k.startswith("net.")}))
    books = {tier: words.float() for tier, words in codebooks.items()}
    return Nets(net, books, torch.device("cpu"))


def _metadata(start: Start) -> dict[str, str]:
    return {"kind": start.kind, "config": json.dumps(dict(start.config))}


def _sorted(blob: bytes) -> bytes:
    """Put the metadata in order, which safetensors leaves to chance, and the digest with it."""
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > size:
        raise ValueError("a safetensors header grew when it was sorted")
    return blob[:8] + text.ljust(size) + blob[8 + size :]


def _manifest(
    recipe: Recipe,
    kind: str,
    stride: int,
    config: Mapping[str, Any],
    blob: bytes,
    codebooks: Mapping[int, Tensor],
) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": recipe.name,
        "summary": recipe.summary,
        "licence": recipe.licence,
        "default_tier": recipe.default_tier,
        "weights": {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)},
        "net": {"kind": kind, "stride": stride, "config": dict(config)},
        "tiers": [{"tier": tier, "codebook_size": len(words)} for tier, words in codebooks.items()],
    }


def _write(out: Path, blob: bytes, manifest: Mapping[str, Any]) -> Path:
    """Write both files beside their places, then move them: a reader never sees half a pack."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in (
            (WEIGHTS_NAME, blob),
            (MANIFEST_NAME, "\n".join(_toml(manifest)).encode() + b"\n"),
        ):
            temporary = out / f"{name}.tmp"
            temporary.write_bytes(data)
            os.replace(temporary, out / name)
    except OSError as error:
        raise OutputError(f"{out}: {error.strerror or error}.", path=out) from error
    return out / MANIFEST_NAME


def _toml(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lines of a TOML document, values before tables (the standard library only reads TOML)."""
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_toml(value, f"{name}.")]
        elif _is_table(value):
            for row in value:
                lines += ["", f"[[{name}]]", *_toml(row, f"{name}.")]
    return lines


def _is_table(value: Any) -> bool:
    is_rows = isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value)
    return isinstance(value, Mapping) or bool(is_rows)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # JSON's strings are TOML's basic strings
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)
