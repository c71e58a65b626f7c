"""Which of a checkpoint's tensors are the network and its codebook, by our names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vqcodec.errors import CheckpointError
from vqcodec.importing.archive import Checkpoint, Found
from vqcodec.importing.names import (
    CODEBOOK,
    EMA_PREFIX,
    PREFIXES,
    layout_of,
    ours,
    without_dots,
)

FLOATS = ("float16", "bfloat16", "float32", "float64")
_SHOWN = 3


@dataclass
class Selection:
    """The tensors that count.

    Attributes:
        layout: "taming" or "diffusers".
        names: our name -> the file's.
        tensors: shape and dtype by our name.
        is_averaged: averaged weights are taken (EMA).
        notes: what was decided, for people.
    """

    layout: str
    names: dict[str, str]
    tensors: dict[str, Found]
    is_averaged: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape by our name."""
        return {name: found.shape for name, found in self.tensors.items()}


def select(checkpoint: Checkpoint) -> Selection:
    """Find the network and the codebook in a checkpoint.

    Raises:
        CheckpointError: no such network, or no codebook.
    """
    every = {**dict.fromkeys(checkpoint.skipped, None), **checkpoint.tensors}
    prefix = next((p for p in PREFIXES if any(n.startswith(f"{p}encoder.") for n in every)), "")
    inner = {name.removeprefix(prefix): name for name in every if name.startswith(prefix)}
    layout = layout_of(inner)
    levels = {name.split(".")[2] for name in inner if name.startswith("decoder.up_blocks.")}
    by_ours: dict[str, str] = {}
    unknown = []
    for theirs in inner:
        name = ours(theirs, layout, len(levels))
        if name is None:
            unknown.append(theirs)
        elif name:
            by_ours[name] = theirs
    if not any(name.startswith("encoder.") for name in by_ours) or unknown:
        raise CheckpointError(
            f"{checkpoint.path}: not a VQGAN that is known here; not understood: "
            f"{some(unknown or inner)}. docs/IMPORT.md says which are."
        )
    if not {CODEBOOK, "gumbel.embed.weight"} & set(by_ours):
        raise CheckpointError(
            f"{checkpoint.path}: no codebook (quantize.embedding.weight): an autoencoder without "
            "one (KL) has no indices to send. Take a VQ model."
        )
    chosen = Selection(layout, {}, {})
    if prefix:
        chosen.notes.append(f"taken from '{prefix}' in the file")
    averaged = _averaged(checkpoint, inner, by_ours.values(), chosen)
    for name, theirs in by_ours.items():
        source = inner[averaged.get(theirs, theirs)]
        if source in checkpoint.skipped:
            raise CheckpointError(
                f"{checkpoint.path}: {theirs} is a {checkpoint.skipped[source][:80]}, which is no "
                "plain tensor: save the weights as floats."
            )
        chosen.names[name], chosen.tensors[name] = source, checkpoint.tensors[source]
    return chosen


def _averaged(
    checkpoint: Checkpoint, inner: Mapping[str, str], names: Iterable[str], chosen: Selection
) -> dict[str, str]:
    """Averages by the name of what they are of; fills in what was decided."""
    found = {name: f"{EMA_PREFIX}{without_dots(name)}" for name in names}
    found = {name: average for name, average in found.items() if average in inner}
    if not found:
        return {}
    counter = inner.get(f"{EMA_PREFIX}num_updates")
    if counter in checkpoint.tensors and counter is not None:
        n_updates = checkpoint.read([counter])[counter]
        if n_updates.numel() == 1 and int(n_updates) == 0:
            chosen.notes.append("its averaged weights (EMA) were never updated: raw weights taken")
            return {}
    chosen.is_averaged = True
    left = sorted(set(names) - set(found))
    more = f", raw ones where there is none ({some(left)})" if left else ""
    chosen.notes.append(f"averaged weights (EMA) taken rather than raw ones{more}")
    return found


def read(
    checkpoint: Checkpoint, chosen: Selection, wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """Read the chosen tensors, in float16 where the file has that and else in float32.

    Args:
        checkpoint: the file.
        chosen: from `select`, known to fit the network.
        wanted: shape by our name; attention of linear layers is viewed as 1x1 convolutions.

    Raises:
        InputError: the file is damaged.
        CheckpointError: a tensor holds no floats, or values that are not finite.
    """
    for name in wanted:
        if chosen.tensors[name].dtype not in FLOATS:
            raise CheckpointError(
                f"{checkpoint.path}: {chosen.names[name]} is {chosen.tensors[name].dtype}, not "
                "floats."
            )
    tensors = checkpoint.read({chosen.names[name] for name in wanted})
    out = {}
    for name, shape in wanted.items():
        tensor = tensors[chosen.names[name]]
        if tensor.dtype != torch.float16:
            tensor = tensor.float()
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{checkpoint.path}: {chosen.names[name]} holds values that are not finite."
            )
        out[name] = tensor.reshape(shape)
    return out


def fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one, or that of a linear layer for a 1x1 convolution."""
    is_linear = len(found) == 2 and wanted == (*found, 1, 1)
    return is_linear or found == wanted


def some(names: Iterable[str]) -> str:
    """A few names and how many more."""
    every = sorted(names)
    shown = ", ".join(name[:60] for name in every[:_SHOWN])
    more = f" and {len(every) - _SHOWN:,} more" if len(every) > _SHOWN else ""
    return (shown or "no name at all") + more


def n_elements(found: Found) -> int:
    """Elements of a tensor."""
    return math.prod(found.shape)
