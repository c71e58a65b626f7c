"""A checkpoint to a complete pack: network, codebook, tiers, frequency tables, card, digest.

Weights are stored as the checkpoint has them, so that pictures are those of the original network;
`vqcodec models compress` makes them smaller. Only the scale of latents and words is ours: a power
of two brings them to about 1, which the context model needs and which changes no picture.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from vqcodec.entropy import frequencies
from vqcodec.errors import BackendError, InputError, OutputError
from vqcodec.importing.architecture import KIND, Architecture, recognise
from vqcodec.importing.archive import open_checkpoint
from vqcodec.importing.published import check_config
from vqcodec.importing.weights import Selection, read, select
from vqcodec.importing.words import Halves, TierWords, collect, make_tiers
from vqcodec.nets.autoencoder import build, count_parameters
from vqcodec.nets.load import Nets
from vqcodec.packs.manifest import read_manifest
from vqcodec.packs.store import WEIGHTS_NAME
from vqcodec.training.card import card
from vqcodec.training.checkpoint import Start
from vqcodec.training.own_tiers import rescale, unit_power
from vqcodec.training.pack_files import CARD_NAME, ordered, refuse_to_replace, write_pack
from vqcodec.training.refusal import load_refused

DIFFUSERS_WEIGHTS: Final = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
)
DIFFUSERS_FOLDERS: Final = ("", "vae", "vqvae", "vqgan")
DIFFUSERS_CONFIG: Final = "config.json"
USUAL_TIER: Final = 8
NEEDED: Final = {"sklearn": "scikit-learn", "imagehash": "ImageHash"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        checkpoint: a file, or a folder in diffusers' layout.
        name: of the pack, a valid one.
        out: folder to write the pack's folder into.
        config: the YAML or JSON that the checkpoint was published with.
        data: photos to choose codebooks and count frequencies on.
        n_photos: at most so many of them.
        licence: of the weights.
        is_forced: replace a pack of that name.
    """

    checkpoint: Path
    name: str
    out: Path
    config: Path | None = None
    data: Sequence[Path] = ()
    n_photos: int = 100
    licence: str = "not stated"
    is_forced: bool = False


def import_checkpoint(order: Order, say: Say = lambda line: None) -> Path:
    """Make a pack of a checkpoint.

    Args:
        order: what is asked for.
        say: takes progress lines.

    Returns:
        The pack's folder.

    Raises:
        InputError: checkpoint, config or photos are missing, damaged or too few.
        CheckpointError: another network than those known, no codebook, values not finite.
        BackendError: taming-transformers or another package is missing.
        OutputExistsError: there is a pack of that name.
        OutputError: the folder cannot be written.
    """
    folder = order.out / order.name
    refuse_to_replace(folder, order.is_forced)
    _need_packages(bool(order.data))
    for source in order.data:
        if not source.exists():
            raise InputError(f"{source}: not found.", path=source)
    path, config = locate(order.checkpoint, order.config)
    checkpoint = open_checkpoint(path)
    chosen = select(checkpoint)
    found = recognise(path, chosen.shapes)
    if config is not None:
        check_config(config, found)
    for note in chosen.notes:
        say(f"{path.name}: {note}")
    state = read(checkpoint, chosen, _shapes(found, chosen))
    n_weights = sum(value.numel() for value in state.values())
    say(f"{path.name}: {describe(found)}, {n_weights / 1e6:.1f} million weights read")
    codebook, state, power = _scaled(found, state)
    if power:
        say(f"latents and words times 2^{power}: about 1 each, as the context model needs them")
    photos = _encode(order, found, state, codebook, say) if order.data else None
    tiers = make_tiers(codebook, photos, say)
    blob = _weights(found, state, codebook, tiers)
    manifest = _manifest(order, path, found, chosen, blob, tiers, photos)
    manifest["training"]["latents_times"] = 2.0**power
    write_pack(folder, {WEIGHTS_NAME: blob}, manifest)
    _write_card(folder, found, tiers)
    return folder


def locate(checkpoint: Path, config: Path | None) -> tuple[Path, Path | None]:
    """Find the weights that a folder in diffusers' layout holds, and the config beside them."""
    path = checkpoint
    if checkpoint.is_dir():
        places = [checkpoint / f / w for f in DIFFUSERS_FOLDERS for w in DIFFUSERS_WEIGHTS]
        path = next((place for place in places if place.is_file()), checkpoint)
    beside = path.with_name(DIFFUSERS_CONFIG)
    if config is None and path.name in DIFFUSERS_WEIGHTS and beside.is_file():
        config = beside
    return path, config


def describe(found: Architecture) -> str:
    """A few words for people."""
    kind = "GumbelVQ" if found.config.get("gumbel_words") else "VQGAN"
    dim = found.config["embed_dim"]
    return f"{kind}, f{found.stride}, {found.n_words:,} words of {dim} numbers"


def _need_packages(has_photos: bool) -> None:
    """Miss a package before any work is done."""
    for module, package in NEEDED.items():
        if (module == "sklearn" or has_photos) and find_spec(module) is None:
            raise BackendError(
                f"importing needs {package}, which is not installed. "
                "Run 'pip install vqcodec[train]'."
            )
    with torch.device("meta"):
        build(KIND, {})


def _shapes(found: Architecture, chosen: Selection) -> dict[str, tuple[int, ...]]:
    """What to read: the network and the codebook."""
    name = found.codebook_name
    return {**found.shapes, name: chosen.shapes[name]}


def _scaled(found: Architecture, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], int]:
    """The codebook, the network's weights and the power of two that both were scaled by."""
    codebook = state[found.codebook_name]
    inner = {name: value for name, value in state.items() if name in found.shapes}
    start, power = Start(KIND, found.config, inner, codebooks={1: codebook}), unit_power(codebook)
    rescale(start, power)
    return start.codebooks[1], start.state, power


def _encode(
    order: Order, found: Architecture, state: Mapping[str, Tensor], codebook: Tensor, say: Say
) -> Halves:
    with torch.device("meta"):
        net = build(KIND, found.config)
    net.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    nets = Nets(net, {1: codebook.float()}, torch.device("cpu"))
    return collect(nets, order.data, order.n_photos, load_refused(), found.n_words, say)


def _weights(
    found: Architecture, state: dict[str, Tensor], codebook: Tensor, tiers: Sequence[TierWords]
) -> bytes:
    """The bytes of `weights.safetensors`."""
    tensors = {f"net.{name}": value for name, value in state.items()}
    tensors["base.codewords"] = codebook
    for made in tiers:
        tensors[f"tier.{made.tier}.codewords"] = made.words
        counts = np.zeros(len(made.words)) if made.counts is None else made.counts
        table = frequencies.from_counts(counts)
        tensors[f"tier.{made.tier}.frequencies"] = torch.from_numpy(table)
    places: set[int] = set()
    for key, value in tensors.items():  # one that shares its memory cannot be saved
        tensors[key] = value.clone() if value.data_ptr() in places else value.contiguous()
        places.add(value.data_ptr())
    return ordered(save(tensors, {"kind": KIND, "config": json.dumps(found.config)}))


def _manifest(
    order: Order,
    path: Path,
    found: Architecture,
    chosen: Selection,
    blob: bytes,
    tiers: Sequence[TierWords],
    photos: Halves | None,
) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    ids = [made.tier for made in tiers]
    return {
        "schema": 1,
        "name": order.name,
        "summary": f"{describe(found)}; imported from {path.name}",
        "licence": order.licence,
        "default_tier": USUAL_TIER if USUAL_TIER in ids else ids[-1],
        "weights": {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)},
        "net": {"kind": KIND, "stride": found.stride, "config": found.config},
        "tiers": [{"tier": made.tier, "codebook_size": len(made.words)} for made in tiers],
        "training": {
            "imported_from": path.name,
            "checkpoint_sha256": digest,
            "layout": chosen.layout,
            "weights_taken": "averaged (EMA)" if chosen.is_averaged else "raw",
            "frequency_photos": 0 if photos is None else photos.n_photos,
        },
        "quality": {},
    }


def _write_card(folder: Path, found: Architecture, tiers: Sequence[TierWords]) -> None:
    """Write the card, also over another model's."""
    with torch.device("meta"):
        n_parameters = count_parameters(build(KIND, found.config))
    text = card(read_manifest(folder), n_parameters, (), "") + _tier_table(tiers)
    temporary = folder / f"{CARD_NAME}.tmp"
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, folder / CARD_NAME)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}.", path=folder) from error


def _tier_table(tiers: Sequence[TierWords]) -> str:
    lines = ["", "## Tiers", ""]
    if any(made.distances for made in tiers):
        lines += [
            "Mean squared distance of the encoder's outputs to their nearest word, on photos that "
            "the codebooks were not made of; the least was taken.",
            "",
            "| tier | K | k-means of the words | of the used words | of the outputs | taken |",
            "|---|---|---|---|---|---|",
        ]
        for made in tiers:
            cells = [f"{distance:.5g}" for distance in made.distances.values()] or ["-"] * 3
            lines.append(f"| {made.tier} | {len(made.words)} | {' | '.join(cells)} | {made.way} |")
    else:
        lines += ["| tier | K | k-means of |", "|---|---|---|"]
        lines += [f"| {made.tier} | {len(made.words)} | {made.way} |" for made in tiers]
        lines += [
            "",
            "Frequency tables are uniform: no photos were at hand to count on (`--data`).",
        ]
    return "\n".join(lines) + "\n"
