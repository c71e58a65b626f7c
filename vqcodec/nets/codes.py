"""Kernels as codes into a small table of sub-vectors: what a compressed pack stores.

A kernel (O, ...) is flattened to rows (O, C), cut into sub-vectors of d neighbours (the last one of
a row padded), and every sub-vector is a code into a table of k words:

    weight = (words @ restore.T)[code] * scale

| key | dtype, shape | what |
|---|---|---|
| `KEY.codes` | u8 | codes in raster order, log2 k bits each, most significant bit first |
| `KEY.words` | f16 (k, r) | k a power of two, 2 to 65536 |
| `KEY.restore` | f16 (d, r) | from r to d dimensions; missing where r = d |
| `KEY.scale` | f16 (O,) | one factor per output channel |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vqcodec.errors import PackError
from vqcodec.packs.codes import MAX_DIM, MAX_WORDS, pack_bits, unpack_bits

SUFFIXES = ("codes", "words", "restore", "scale")


def to_codes(
    codes: Tensor, words: Tensor, scale: Tensor, restore: Tensor | None = None
) -> dict[str, Tensor]:
    """Turn a coded kernel into tensors, by suffix.

    Args:
        codes: (n,) integers in [0, k).
        words: (k, r) floats, k a power of two from 2 to 65536.
        scale: (O,) floats.
        restore: (d, r) floats, or None where the words are the sub-vectors.
    """
    bits = len(words).bit_length() - 1
    out = {
        "codes": torch.from_numpy(pack_bits(codes.cpu().numpy(), bits)),
        "words": words.detach().half().contiguous(),
        "scale": scale.detach().half().contiguous(),
    }
    return out if restore is None else out | {"restore": restore.detach().half().contiguous()}


def from_codes(key: str, parts: Mapping[str, Tensor], shape: Sequence[int]) -> Tensor:
    """Turn a stored kernel back into float32 of the shape that the network wants.

    Args:
        key: of the kernel, for messages.
        parts: tensors by suffix.
        shape: of the kernel; it bounds the memory that is taken.

    Raises:
        PackError: a part is missing, or its dtype, shape or value is wrong.
    """
    for name in ("codes", "words", "scale"):
        if name not in parts:
            raise PackError(f"weights: {key}.{name} is missing.", field=f"{key}.{name}")
    codes, words, scale = parts["codes"], parts["words"], parts["scale"]
    restore = parts.get("restore")
    for name, value, n_dims in (("words", words, 2), ("scale", scale, 1), ("restore", restore, 2)):
        if value is not None and (value.dim() != n_dims or not value.dtype.is_floating_point):
            raise PackError(f"weights: {key}.{name} must hold floats in {n_dims} dimensions.")
    size, dim = len(words), words.shape[1] if restore is None else len(restore)
    if not 2 <= size <= MAX_WORDS or size & (size - 1):
        raise PackError(f"weights: {key}.words has {size} rows; wanted a power of two to 65536.")
    if not 1 <= dim <= MAX_DIM or (restore is not None and restore.shape[1] != words.shape[1]):
        raise PackError(f"weights: {key}.restore does not fit {key}.words.")
    if len(shape) < 2 or tuple(scale.shape) != (shape[0],):
        raise PackError(
            f"weights: {key}.scale has shape {tuple(scale.shape)}; wanted ({shape[0]},)."
        )
    columns = math.prod(shape[1:])
    per_row, bits = -(-columns // dim), size.bit_length() - 1
    n_bytes = -(-shape[0] * per_row * bits // 8)
    if codes.dtype != torch.uint8 or tuple(codes.shape) != (n_bytes,):
        raise PackError(
            f"weights: {key}.codes is {codes.dtype} {tuple(codes.shape)}; wanted {n_bytes} bytes.",
            field=f"{key}.codes",
        )
    table = words.float() if restore is None else words.float() @ restore.float().t()  # (k, d)
    found = torch.from_numpy(unpack_bits(codes.numpy(), bits, shape[0] * per_row))
    rows = table.index_select(0, found).view(shape[0], per_row * dim)
    return rows.mul_(scale.float()[:, None])[:, :columns].reshape(tuple(shape))
