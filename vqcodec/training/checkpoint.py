"""Files of a training run: `last.pt` to go on from, `ema.safetensors` to start from or to export.

`last.pt` is read with `weights_only`, so that it cannot run code; it is training state and never
part of a pack. `ema.safetensors` has the tensors of a pack in float32 (`net.KEY`, `base.codewords`,
`tier.T.codewords`) and the network's config in its metadata.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vqcodec.errors import InputError, PackError
from vqcodec.nets.autoencoder import Autoencoder, build
from vqcodec.nets.kernels import from_stored
from vqcodec.nets.quantizer import to_sphere
from vqcodec.packs import store
from vqcodec.packs.manifest import MANIFEST_NAME
from vqcodec.training.recipe import STAGES
from vqcodec.training.tokenizer import Tokenizer

EMA_NAME, LAST_NAME, START_NAME = "ema.safetensors", "last.pt", "start.safetensors"


@dataclass
class Start:
    """What a file gives to start from.

    Attributes:
        kind: `net.kind`.
        config: `net.config`; empty means the defaults.
        state: the network's weights, float32.
        base: (K_base, D) or None.
        codebooks: (K_T, D) by tier.
    """

    kind: str
    config: Mapping[str, Any]
    state: dict[str, Tensor]
    base: Tensor | None = None
    codebooks: dict[int, Tensor] = field(default_factory=dict)

    def net(self) -> Autoencoder:
        """Return the network, weights loaded; PackError when they do not fit."""
        net = build(self.kind, self.config)
        try:
            net.load_state_dict(self.state)
        except RuntimeError as error:
            raise PackError(f"start weights do not fit the network: {error}") from error
        return net

    def outline(self) -> Autoencoder:
        """Return the network without memory for its weights: to ask for shapes and tiers."""
        with torch.device("meta"):
            return build(self.kind, self.config)

    def add_tiers(self) -> None:
        """Give what tiers have for themselves the rows that the config asks for.

        FiLM tables and 1x1 convolutions repeat their last row; a convolution that all tiers share
        becomes one for each.
        """
        for key, wanted in self.outline().state_dict().items():
            table = self.state.get(key)
            if table is None or not (".film." in key or "quant_conv." in key):
                continue
            if "quant_conv." in key and table.numel() * len(wanted) == wanted.numel():
                table = table.reshape(1, *wanted.shape[1:])  # of all tiers
            if table.shape[1:] == wanted.shape[1:] and 0 < len(table) < len(wanted):
                more = table[-1:].expand(len(wanted) - len(table), *wanted.shape[1:])
                self.state[key] = torch.cat([table, more])

    def tokenizer(self) -> Tokenizer:
        """Return network and codebooks; PackError when the weights do not fit."""
        return Tokenizer(self.net(), self.base, self.codebooks)


def save_ema(model: Tokenizer, path: Path, **note: Any) -> None:
    """Write `ema.safetensors` atomically; `note` goes into its metadata as strings."""
    tensors = {f"net.{key}": value for key, value in model.net.state_dict().items()}
    tensors |= model.tables()
    metadata = {"kind": model.net.kind, "config": json.dumps(dict(model.net.config))}
    metadata |= {key: str(value) for key, value in note.items()}
    contiguous = {key: value.detach().float().cpu().contiguous() for key, value in tensors.items()}
    _write(path, save(contiguous, metadata))


def save_last(path: Path, state: dict[str, Any]) -> None:
    """Write training state atomically."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_last(path: Path) -> dict[str, Any]:
    """Read training state.

    Raises:
        InputError: missing or broken.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise InputError(f"{path}: not a checkpoint that can be resumed ({error}).") from error
    return state


def find_start(place: Path | str) -> Path:
    """Find the weights that a file, a run, one stage of a run, or a pack holds.

    Args:
        place: a `.safetensors` file, the folder of a run (its last stage counts) or of a stage, a
            pack's folder or its name.

    Raises:
        InputError: a folder without any of these.
        ModelNotFoundError: no such file, and no pack of that name.
    """
    path = Path(place)
    if path.is_file() or path.suffix == ".safetensors":
        return path
    if path.is_dir() and not (path / MANIFEST_NAME).is_file():
        stages = [path / name / EMA_NAME for name in STAGES]
        found = [ema for ema in (path / EMA_NAME, *reversed(stages)) if ema.is_file()]
        if not found:
            raise InputError(f"{path}: neither a run nor a model pack.", path=path)
        return found[0]
    return store.find(place).weights_path


def is_done(ema: Path, budget: str) -> bool:
    """Whether these averaged weights are those of a stage that spent this budget to its end."""
    try:
        with safe_open(ema, framework="pt") as file:
            return bool((file.metadata() or {}).get("done") == budget)
    except (OSError, SafetensorError):
        return False


def load_start(path: Path) -> Start:
    """Read weights to start from: a run's `ema.safetensors`, a pack's, or bare ones.

    Raises:
        InputError: missing or no safetensors file.
        PackError: broken weights.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable safetensors file.", path=path) from error
    if any(key.startswith("encoder.") for key in tensors):
        return _from_bare(tensors)
    if "kind" not in metadata:
        raise InputError(f"{path}: no network is named in its metadata.", path=path)
    stored = {key[4:]: value for key, value in tensors.items() if key.startswith("net.")}
    codebooks = {
        int(found[1]): value.float()
        for key, value in tensors.items()
        if (found := re.fullmatch(r"tier\.(\d{1,2})\.codewords", key))
    }
    config = json.loads(metadata.get("config", "{}"))
    start = Start(metadata["kind"], config, {}, tensors.get("base.codewords"), codebooks)
    shapes = {key: tuple(value.shape) for key, value in start.outline().state_dict().items()}
    start.state = from_stored(stored, shapes)
    return start


def _from_bare(tensors: dict[str, Tensor]) -> Start:
    """Weights from before packs: keys without `net.`, codebooks as SimVQ basis and linear layer."""
    nets = {key: value for key, value in tensors.items() if not key.startswith("books.")}
    n_books = sum(key.endswith(".basis") for key in tensors)
    codebooks = {}
    for n in range(n_books):
        basis, linear = tensors[f"books.{n}.basis"], tensors[f"books.{n}.linear.weight"]
        words = to_sphere(basis.float() @ linear.float().t())
        codebooks[len(words).bit_length() - 3] = words  # 2 ** (tier + 2) codewords
    return Start("light", {}, from_stored(nets), None, codebooks)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
