"""A tier's context model in a pack's weights: tensors to a checked `ContextModel`.

FORMAT.md section 7A lists the tensors. They come from outside: every key, dtype, shape and bound is
checked here or where the model is made. Read without torch, and only for coding mode "context".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from vqcodec.entropy.context import ContextModel, Layer
from vqcodec.errors import PackError

T = TypeVar("T", bound=np.generic)


class _Tensors:
    """The tensors of a file, taken one by one with what each must be."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.keys: set[str] = set(file.keys())

    def take(self, key: str, dtype: type[T], *shape: int | None) -> NDArray[T]:
        """Read a tensor; None in its shape stands for any size but 0."""
        if key not in self.keys:
            raise ValueError(f"{key}: missing")
        tensor: NDArray[T] = np.asarray(self.file.get_tensor(key))
        is_fitting = len(tensor.shape) == len(shape) and all(
            found == size or (size is None and found > 0)
            for found, size in zip(tensor.shape, shape, strict=True)
        )
        if tensor.dtype != dtype or not is_fitting:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise ValueError(
                f"{key}: {tensor.dtype} {tensor.shape}, expected {dtype.__name__} ({wanted})"
            )
        return tensor

    def codewords(self, tier: int, size: int) -> NDArray[np.float32]:
        """Read a tier's codebook, f16 or f32, (size, E)."""
        key = f"tier.{tier}.codewords"
        is_exact = key in self.keys and self.file.get_slice(key).get_dtype() == "F32"
        if is_exact:
            return self.take(key, np.float32, size, None)
        return self.take(key, np.float16, size, None).astype(np.float32)


def context_tiers(weights: Path) -> list[int]:
    """List the tiers that have a context model, ascending; nothing of it is checked.

    Raises:
        PackError: no safetensors file.
    """
    try:
        with safe_open(weights, framework="numpy") as file:
            found = [re.fullmatch(r"context\.(\d{1,2})\.bias", key) for key in file.keys()]
    except (OSError, SafetensorError) as error:
        raise PackError(f"{weights}: {error}; get the pack again", path=weights) from error
    return sorted(int(match[1]) for match in found if match)


def read_context(weights: Path, tier: int, codebook_size: int) -> ContextModel | None:
    """Read the context model of a tier.

    Args:
        weights: the pack's safetensors file.
        tier: its id.
        codebook_size: K, as the manifest says.

    Returns:
        The model, or None where the file has no `context.TIER.bias`: the tier then has none.

    Raises:
        PackError: no safetensors file, or a model that breaks the rules.
    """
    try:
        with safe_open(weights, framework="numpy") as file:
            tensors = _Tensors(file)
            if f"context.{tier}.bias" not in tensors.keys:
                return None
            return _model(tensors, tier, codebook_size)
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise PackError(
            f"{weights}: context model of tier {tier}: {error}; get the pack again", path=weights
        ) from error


def _model(tensors: _Tensors, tier: int, size: int) -> ContextModel:
    take = tensors.take
    offsets = take("context.offsets", np.int8, None, 2)
    codewords = tensors.codewords(tier, size)
    dim = codewords.shape[1]
    first = take("context.first.weight", np.int8, len(offsets) * dim, None)
    hidden = first.shape[1]
    neck = take("context.neck.weight", np.int8, hidden, None)
    width = neck.shape[1]
    if width < dim:
        raise ValueError(f"context.neck.weight: {width} columns for codewords of {dim}")
    blocks = [key for key in tensors.keys if key.startswith("context.block.")]
    n_blocks = len(blocks) // 2
    shifts = take("context.shifts", np.uint8, n_blocks + 2).tolist()
    layers = [
        Layer(
            take(f"context.block.{number}.weight", np.int8, hidden, hidden),
            take(f"context.block.{number}.bias", np.int32, hidden),
            shifts[1 + number],
        )
        for number in range(n_blocks)
    ]
    if len(blocks) != 2 * n_blocks:
        raise ValueError("context.block: a weight or a bias too many")
    return ContextModel(
        offsets=offsets,
        codewords=codewords,
        special=take("context.special", np.int8, 2, dim),
        first=Layer(first, take(f"context.{tier}.bias", np.int32, hidden), shifts[0]),
        blocks=layers,
        neck=Layer(neck, take("context.neck.bias", np.int32, width), shifts[-1]),
        learned=take(f"context.{tier}.learned", np.int8, size, width - dim),
        logit_bias=take(f"context.{tier}.logit_bias", np.int32, size),
    )
