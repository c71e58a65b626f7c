"""From a run's averaged weights to a complete model pack.

Kernels go to int8, the rest to f16; frequency tables are counted on training photos with the model
as it will be used, that is after this rounding. `CARD.md` is begun, and left alone where there is
one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from vqcodec.entropy import frequencies
from vqcodec.errors import InputError
from vqcodec.nets.autoencoder import build, count_parameters
from vqcodec.nets.kernels import from_stored, to_stored
from vqcodec.nets.load import Nets
from vqcodec.packs.store import WEIGHTS_NAME
from vqcodec.training.checkpoint import Start
from vqcodec.training.pack_files import begin_card, ordered, refuse_to_replace, write_pack
from vqcodec.training.photos import read_photos
from vqcodec.training.recipe import Recipe
from vqcodec.training.tokenizer import tiers_of

DEFAULT_TIER = 8  # where a recipe names none; of fewer tiers the highest


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
    refuse_to_replace(out, is_forced)
    wanted = tiers_of(start.outline(), start.codebooks)
    missing = [str(tier) for tier in wanted if tier not in start.codebooks]
    if missing:
        raise InputError(
            f"these weights have no codebook for tier {', '.join(missing)}: run 'vqcodec train "
            "tiers' first."
        )
    default_tier = recipe.default_tier or min(DEFAULT_TIER, wanted[-1])
    if default_tier not in wanted:
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
    blob = ordered(
        save({key: value.contiguous() for key, value in tensors.items()}, _metadata(start))
    )
    named = replace(recipe, default_tier=default_tier)
    manifest = _manifest(named, start.kind, nets.stride, config, blob, codebooks)
    manifest["training"] = {**recipe.training, **(training or {}), "frequency_photos": n_photos}
    manifest["quality"] = dict(quality or {})
    path = write_pack(out, {WEIGHTS_NAME: blob}, manifest)
    begin_card(out, count_parameters(nets.net))
    return path


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
