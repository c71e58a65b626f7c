"""The words of each layer: sub-vectors of full rank, words in fewer dimensions, or integers.

In fewer dimensions words cost less, so that longer sub-vectors or more words fit into the same
bytes; a small matrix per layer restores sub-vectors from them. What that loses, beside what
clustering loses, decides the number of dimensions per layer.

Source: Zhu et al., LR2VQ, arXiv 2211.11397.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vqcodec.compression.vectors import SAMPLE, Coded, Shape, closest, cut, fit_words

FULL = {4: Shape(256, 2, 2), 3: Shape(64, 2, 2), 2: Shape(256, 4, 4)}
"""Bits per weight -> how method "vq" codes."""

LONGER = {4: ((256, 2), (4096, 3)), 3: ((64, 2), (512, 3), (4096, 4)), 2: ((256, 4), (1024, 5))}
"""Bits per weight -> words and weights per sub-vector that method "lowrank" chooses from."""

MARGIN = 1.02  # bytes that a layer may take, of what "vq" takes

ALIKE = 1.01  # errors that are no more apart than this count as one

Words = tuple[Tensor, Tensor | None]  # (k, r), and (d, r) or None
Fit = Callable[[Tensor, Tensor], Words]


def full_rank(bits: int, seed: int = 0) -> Fit:
    """Return what makes a kernel's words at full rank: (kernel, second moments) to words."""

    def fit(kernel: Tensor, moments: Tensor) -> Words:
        vectors, importance = weighted(kernel, moments, FULL[bits].dim)
        return fit_words(vectors, importance, FULL[bits].n_words, seed), None

    return fit


def low_rank(bits: int, seed: int = 0) -> Fit:
    """Return what makes a kernel's words at the rank that costs least."""

    def fit(kernel: Tensor, moments: Tensor) -> Words:
        shape = choose(kernel, moments, bits, seed)
        vectors, importance = weighted(kernel, moments, shape.dim)
        if shape.rank == shape.dim:
            return fit_words(vectors, importance, shape.n_words, seed), None
        restore = principal(vectors, importance)[:, : shape.rank]
        return fit_words(vectors @ restore, importance, shape.n_words, seed), restore.contiguous()

    return fit


def choose(kernel: Tensor, moments: Tensor, bits: int, seed: int) -> Shape:
    """Choose words, length and rank for a kernel, by the sum of both errors.

    Args:
        kernel: (O, I, kh, kw).
        moments: second moments of its inputs.
        bits: 2, 3 or 4 per weight.
        seed: of the sample.

    Returns:
        The shape of least error among those that take at most 2 % more bytes than `FULL`; of
        shapes with about the same error the one of fewest bytes.
    """
    rows, columns = len(kernel), kernel[0].numel()
    budget = MARGIN * FULL[bits].n_bytes(rows, columns)
    errors: dict[Shape, float] = {}
    for n_words, dim in LONGER[bits]:
        ranks = range(1, dim + 1)
        shapes = [Shape(n_words, dim, rank) for rank in ranks]
        shapes = [shape for shape in shapes if shape.n_bytes(rows, columns) <= budget]
        if shapes:
            vectors, importance = weighted(kernel, moments, dim)
            errors |= {shape: _error(vectors, importance, shape, seed) for shape in shapes}
    good = [shape for shape, error in errors.items() if error <= ALIKE * min(errors.values())]
    return min(good, key=lambda shape: shape.n_bytes(rows, columns))


def rounded(kernel: Tensor, bits: int) -> Coded:
    """Round a kernel to integers of so many bits, by the largest weight of each output channel."""
    most = 2 ** (bits - 1) - 1
    rows = kernel.detach().flatten(1).cpu()
    scale = rows.abs().amax(1).div(most).clamp_min(1e-6).half().float()
    steps = (rows / scale[:, None]).round().clamp(-most, most)
    words = torch.arange(2**bits, dtype=torch.float32)[:, None] - most - 1
    return Coded((steps + most + 1).long(), words, None, scale, rows.shape[1])


def weighted(kernel: Tensor, moments: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Cut a kernel into sub-vectors (n, d), and say how much the error of each counts, (n,)."""
    rows, scale = cut(kernel, dim)
    power = torch.zeros(rows.shape[1], device=rows.device)
    power[: len(moments)] = moments.diagonal()
    counts = scale.square()[:, None] * power.view(-1, dim).mean(1)  # (O, C / d)
    return rows.reshape(-1, dim), (counts / counts.mean().clamp_min(1e-12)).flatten()


def principal(vectors: Tensor, importance: Tensor) -> Tensor:
    """Principal axes of weighted vectors, (d, d), the strongest first."""
    spread = (vectors * importance[:, None]).t() @ vectors
    axes: Tensor = torch.linalg.eigh(spread.double()).eigenvectors.flip(1).float()
    return axes


def _error(vectors: Tensor, importance: Tensor, shape: Shape, seed: int) -> float:
    """Mean weighted squared error per weight: beyond the rank, and of clustering within it."""
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))[:SAMPLE]
    vectors, importance = vectors[order], importance[order]
    inside = vectors @ principal(vectors, importance)[:, : shape.rank]
    lost = vectors.square().sum(1) - inside.square().sum(1)
    half = len(inside) // 2  # a table knows the vectors that it was made of too well
    words = fit_words(inside[:half], importance[:half], shape.n_words, seed)
    missed = (inside[half:] - words[closest(inside[half:], words)]).square().sum(1)
    error = (lost * importance).mean() + (missed * importance[half:]).mean()
    return float(error) / shape.dim
