"""Which word stands for each sub-vector, when the errors of those before can still be made good.

Columns are coded from left to right; the error of a group of columns is spread over the columns
that are still open, as far as the layer's inputs are correlated, so that the layer's outputs change
least: with H the inputs' second moments, the error that counts is tr(D H D^T), D the kernel's.

Source: Frantar et al., GPTQ, arXiv 2210.17323; for vectors van Baalen et al., GPTVQ, arXiv
2402.15319, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.compression.steps import AT_ONCE, Step
from vqcodec.compression.vectors import closest

DAMPING = 0.01  # of the mean diagonal: inputs that were never seen must not be trusted
MOST_INPUTS = 40_000  # positions that the second moments are taken over
SPAN = 128  # columns whose errors are spread at once, the others when it is done


@torch.no_grad()
def second_moments(step: Step, layer: nn.Conv2d, x: Tensor, tiers: Tensor) -> Tensor:
    """Second moments of what a convolution sees while a step runs.

    Args:
        step: that the layer is a part of.
        layer: a convolution of it.
        x: (N, C, H, W) what the step sees.
        tiers: (N,).

    Returns:
        (I kh kw, I kh kw), in the order of a flattened kernel's columns.
    """
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    n_columns = layer.weight[0].numel()
    total, n_all, every = torch.zeros(n_columns, n_columns, device=x.device), 0, 0
    try:
        for start in range(0, len(x), AT_ONCE):
            seen.clear()
            step.run(x[start : start + AT_ONCE], tiers[start : start + AT_ONCE])
            columns = _columns(layer, seen[0])
            every = every or max(1, len(columns) * len(x) // min(len(x), AT_ONCE) // MOST_INPUTS)
            total.addmm_(columns[::every].t(), columns[::every])
            n_all += len(columns[::every])
    finally:
        hook.remove()
    return total / n_all


def assign(rows: Tensor, moments: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Choose a word for every sub-vector.

    Args:
        rows: (O, C) scaled rows, C a multiple of d.
        moments: (C', C') second moments of the inputs, C' at most C (what is beyond is padding).
        table: (k, d).

    Returns:
        Codes (O, C / d) int64, and the sub-vectors (O, C) that were coded: `rows` with the errors
        of earlier columns made good.
    """
    n_columns, dim = rows.shape[1], table.shape[1]
    upper = _inverse_root(moments, n_columns)
    open_ = rows.clone()
    codes = rows.new_empty((len(rows), n_columns // dim), dtype=torch.int64)
    for start in range(0, n_columns, SPAN // dim * dim):
        stop = min(start + SPAN // dim * dim, n_columns)
        errors = rows.new_empty((len(rows), stop - start))
        for g in range(start, stop, dim):
            group = slice(g, g + dim)
            whiten = torch.linalg.inv(upper[group, group])
            found = closest(open_[:, group] @ whiten, table @ whiten)
            codes[:, g // dim] = found
            error = (open_[:, group] - table[found]) @ whiten
            errors[:, g - start : g - start + dim] = error
            open_[:, g + dim : stop] -= error @ upper[group, g + dim : stop]
        open_[:, stop:] -= errors @ upper[start:stop, stop:]
    return codes, open_


def _inverse_root(moments: Tensor, n_columns: int) -> Tensor:
    """Upper triangular U with U^T U the inverse of the damped moments; padding is independent."""
    n_seen = len(moments)
    square = F.pad(moments.double(), (0, n_columns - n_seen, 0, n_columns - n_seen))
    mean = square.diagonal()[:n_seen].mean().clamp_min(1e-12)
    square.diagonal().add_(DAMPING * mean)
    square.diagonal()[n_seen:] = mean
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(square))
    upper: Tensor = torch.linalg.cholesky(inverse, upper=True).float()
    return upper


def _columns(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Input windows of a convolution, (n, I kh kw)."""
    if layer.kernel_size == (1, 1) and layer.stride == (1, 1):
        return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    if isinstance(layer.padding, str):
        raise ValueError(f"padding '{layer.padding}'; wanted numbers")
    windows = F.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)
    return windows.transpose(1, 2).reshape(-1, windows.shape[1])
