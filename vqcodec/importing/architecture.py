"""The network that tensors belong to, read off their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from vqcodec.bitstream.layout import TIERS
from vqcodec.errors import CheckpointError, PackError
from vqcodec.importing.names import CODEBOOK
from vqcodec.importing.weights import fits, some
from vqcodec.nets.autoencoder import build, count_parameters
from vqcodec.packs.networks import MAX_PARAMETERS

KIND: Final = "taming"
RESOLUTION: Final = 256  # where attention goes is told by the levels that have it at this side
LEVELS: Final = {4: 8, 5: 16}
"""Levels of a network -> its stride, for those that the format has."""
MAX_WORDS: Final = 1 << 16

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Architecture:
    """A network that was found.

    Attributes:
        config: arguments of `nets.taming.TamingVqgan`.
        stride: pixels per index along each axis.
        n_words: K of its codebook.
        shapes: what its parameters are like, by our name.
    """

    config: dict[str, Any]
    stride: int
    n_words: int
    shapes: dict[str, tuple[int, ...]]

    @property
    def codebook_name(self) -> str:
        """Our name of the codebook's tensor."""
        return "gumbel.embed.weight" if self.config.get("gumbel_words") else CODEBOOK

    @property
    def attention(self) -> tuple[int, ...]:
        """Levels that have attention, 0 at full size."""
        return tuple(RESOLUTION.bit_length() - n.bit_length() for n in self.config[_ATTENTION])


_ATTENTION = "attn_resolutions"


def recognise(path: Path, shapes: Shapes) -> Architecture:
    """Tell the network by its shapes.

    Args:
        path: of the checkpoint, for messages.
        shapes: by our name, codebook included.

    Raises:
        CheckpointError: no such network, another stride than 8 or 16, a codebook that does not fit.
        BackendError: taming-transformers is not installed.
    """
    config = _config(path, shapes)
    n_levels = len(config["ch_mult"])
    if n_levels not in LEVELS:
        raise CheckpointError(
            f"{path}: this network has {2 ** (n_levels - 1)} x {2 ** (n_levels - 1)} pixels per "
            "index; the format has 8 x 8 and 16 x 16. Take an f8 or f16 model.",
            found=2 ** (n_levels - 1),
        )
    name = "gumbel.embed.weight" if "gumbel.embed.weight" in shapes else CODEBOOK
    n_words, dim = _at(path, shapes, name, 2)
    if dim != config["embed_dim"] or n_words > MAX_WORDS:
        raise CheckpointError(
            f"{path}: a codebook of {n_words:,} words of {dim} numbers; the network gives "
            f"{config['embed_dim']}, and {MAX_WORDS:,} words are allowed."
        )
    if n_words < TIERS[1]:
        raise CheckpointError(
            f"{path}: a codebook of {n_words} words; the smallest tier has {TIERS[1]}."
        )
    if name != CODEBOOK:
        config["gumbel_words"] = n_words
    wanted = _wanted(path, config)
    _compare(path, shapes, wanted)
    return Architecture(config, LEVELS[n_levels], n_words, wanted)


def _config(path: Path, shapes: Shapes) -> dict[str, Any]:
    """Arguments of the network that has these shapes."""
    ch, n_channels = _at(path, shapes, "encoder.conv_in.weight", 4)[:2]
    n_out = _at(path, shapes, "decoder.conv_out.weight", 4)[0]
    if n_channels != 3 or n_out != 3:
        raise CheckpointError(
            f"{path}: the network takes {n_channels} channels and gives {n_out}; photos have 3."
        )
    blocks = _numbers(shapes, r"encoder\.down\.(\d+)\.block\.(\d+)\.conv1\.weight")
    levels = sorted({level for level, _ in blocks})
    if levels != list(range(len(levels))) or not levels:
        raise CheckpointError(f"{path}: not a VQGAN that is known here: no level after another.")
    widths = [_at(path, shapes, f"encoder.down.{n}.block.0.conv1.weight", 4)[0] for n in levels]
    if not ch or any(width % ch for width in widths):
        raise CheckpointError(f"{path}: levels of {widths} channels are no multiples of {ch}.")
    attention = sorted(
        {n for n, _ in _numbers(shapes, r"encoder\.down\.(\d+)\.attn\.(\d+)\.q\..*")}
    )
    return {
        "ch": ch,
        "ch_mult": [width // ch for width in widths],
        "num_res_blocks": 1 + max(block for _, block in blocks),
        _ATTENTION: [max(1, RESOLUTION >> level) for level in attention],
        "resolution": RESOLUTION,
        "z_channels": _at(path, shapes, "encoder.conv_out.weight", 4)[0],
        "embed_dim": _at(path, shapes, "quant_conv.weight", 4)[0],
    }


def _wanted(path: Path, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the network with these arguments, made without memory for weights."""
    try:
        with torch.device("meta"):
            net = build(KIND, config)
    except PackError as error:
        fault = error.message.removeprefix("manifest: net.config.")
        raise CheckpointError(f"{path}: not a VQGAN that is known here: {fault}") from error
    if count_parameters(net) > MAX_PARAMETERS:
        raise CheckpointError(f"{path}: the network has more than {MAX_PARAMETERS:,} weights.")
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def _compare(path: Path, shapes: Shapes, wanted: Shapes) -> None:
    missing = sorted(set(wanted) - set(shapes))
    unknown = sorted(set(shapes) - set(wanted) - {CODEBOOK})
    if unknown:
        raise CheckpointError(
            f"{path}: not a VQGAN that is known here; not understood: {some(unknown)}."
        )
    if missing:
        raise CheckpointError(f"{path}: not a VQGAN that is known here; missing: {some(missing)}.")
    for name, shape in wanted.items():
        if not fits(shapes[name], shape):
            raise CheckpointError(
                f"{path}: {name} has shape {shapes[name]}; wanted {shape}.",
                expected=shape,
                found=shapes[name],
            )


def _at(path: Path, shapes: Shapes, name: str, n_dims: int) -> tuple[int, ...]:
    if len(shapes.get(name, ())) != n_dims:
        fault = "has no" if name not in shapes else f"has a {len(shapes[name])}-dimensional"
        raise CheckpointError(f"{path}: not a VQGAN that is known here: it {fault} {name}.")
    return shapes[name]


def _numbers(shapes: Shapes, pattern: str) -> list[tuple[int, int]]:
    """Pairs of numbers in the names that fit."""
    found = (re.fullmatch(pattern, name) for name in shapes)
    return [(int(match[1]), int(match[2])) for match in found if match]
