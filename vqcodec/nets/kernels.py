"""A network's state as packs store it: kernels in int8 per output channel, weight = q * scale.

The large 4-D kernels of a network become `KEY.q` (i8) and `KEY.scale` (f16, one per output
channel); everything else is stored in f16 (docs/ARCHITECTURE.md, "Model packs"). In a compressed
pack most kernels are codes into a table instead (`nets/codes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vqcodec.errors import PackError
from vqcodec.nets.codes import SUFFIXES, from_codes

SMALLEST_INT8 = 4096  # kernels of fewer weights stay in f16: they save nothing and cost quality


def to_stored(
    state: Mapping[str, Tensor],
    smallest: int = SMALLEST_INT8,
    int8: bool = True,
    least_dim: int = 4,
) -> dict[str, Tensor]:
    """Turn a network's state into tensors for `weights.safetensors`.

    Args:
        state: `state_dict` of the network, any float dtype.
        smallest: kernels of at least this many weights go to int8.
        int8: off keeps every tensor in f16 (to measure what int8 costs).
        least_dim: what has fewer dimensions is no kernel; 2 takes dense layers and tables, too.

    Returns:
        `KEY`, or `KEY.q` and `KEY.scale`, to contiguous tensors on the CPU.
    """
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        weight = value.detach().float().cpu()
        if int8 and weight.dim() >= least_dim and weight.numel() >= smallest:
            scale = weight.abs().flatten(1).amax(1).div(127).clamp_min(1e-6).half()  # (O,)
            rows = scale.float().view(-1, *[1] * (weight.dim() - 1))
            steps = (weight / rows).round().clamp(-127, 127)
            out[f"{key}.q"] = steps.to(torch.int8).contiguous()
            out[f"{key}.scale"] = scale
        else:
            out[key] = weight.half().contiguous()
    return out


def from_stored(
    stored: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Tensor]:
    """Turn stored tensors back into a network's state in float32.

    Args:
        stored: tensors by key.
        shapes: of the network's state, by key; what lies there in codes needs them.

    Raises:
        PackError: a `.q` without its `.scale`, wrong shapes or dtypes, codes without a network that
            wants them, or a value that is not finite.
    """
    coded = {key.removesuffix(".codes") for key in stored if key.endswith(".codes")}
    parts = {f"{key}.{suffix}" for key in coded for suffix in SUFFIXES}
    scales = {f"{key.removesuffix('.q')}.scale" for key in stored if key.endswith(".q")}
    out: dict[str, Tensor] = {}
    for key, value in stored.items():
        if key in scales or key in parts:
            continue
        if key.endswith(".q"):
            key = key.removesuffix(".q")
            value = _dequantised(key, value, stored.get(f"{key}.scale"))
        elif value.dtype not in (torch.float16, torch.float32):
            raise PackError(f"weights: {key} is {value.dtype}; wanted float16 or float32.")
        out[key] = value.float()
    for key in sorted(coded):
        if shapes is None or key not in shapes:
            raise PackError(f"weights: {key}.codes is unknown to this network.", field=key)
        of_key = {name: stored[f"{key}.{name}"] for name in SUFFIXES if f"{key}.{name}" in stored}
        out[key] = from_codes(key, of_key, shapes[key])
    for key, weight in out.items():
        if not bool(weight.isfinite().all()):
            raise PackError(f"weights: {key} holds values that are not finite.", field=key)
    return out


def _dequantised(key: str, steps: Tensor, scale: Tensor | None) -> Tensor:
    if scale is None:
        raise PackError(f"weights: {key}.q has no {key}.scale beside it.", field=f"{key}.scale")
    if steps.dtype != torch.int8 or steps.dim() < 2 or not scale.dtype.is_floating_point:
        raise PackError(f"weights: {key}.q must be int8 with 2 or more dimensions.", field=key)
    if tuple(scale.shape) != (steps.shape[0],):
        raise PackError(
            f"weights: {key}.scale has shape {tuple(scale.shape)}; wanted ({steps.shape[0]},).",
            field=f"{key}.scale",
        )
    return steps.float() * scale.float().view(-1, *[1] * (steps.dim() - 1))
