"""From latents to indices: the exact search for the nearest codeword, and SimVQ for training.

`nearest` is the last place where floats are compared; its answer is the index map. Equal distances
go to the lowest index, so that the answer never depends on batch size, chunking or the order of a
reduction.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHUNK = 1 << 18  # distances held at once: 2 MiB in float64, so that they stay in the cache


def nearest(latents: Tensor, codewords: Tensor) -> Tensor:
    """Find the nearest codeword of every latent vector by squared Euclidean distance.

    A matrix product gives all distances up to rounding; every codeword within a bound of that
    rounding is then compared by its direct distance in float64, summed in one fixed order. So
    duplicates of a codeword have equal distances to the last bit, and the lowest index wins.

    Args:
        latents: (N, D) floats, finite; N may be 0.
        codewords: (K, D) floats, finite, K at least 1.

    Returns:
        (N,) int64 in [0, K).

    Raises:
        ValueError: shapes do not fit, or there is no codeword.
    """
    if latents.dim() != 2 or codewords.dim() != 2 or latents.shape[1] != codewords.shape[1]:
        raise ValueError(f"latents {tuple(latents.shape)}, codewords {tuple(codewords.shape)}")
    n_latents, n_codewords = len(latents), len(codewords)
    if n_codewords == 0:
        raise ValueError("a codebook needs at least one codeword")
    words = codewords.detach().double()
    square = words.square().sum(1)  # (K,)
    rows = max(1, CHUNK // n_codewords)
    out = torch.empty(n_latents, dtype=torch.int64, device=latents.device)
    for start in range(0, n_latents, rows):
        chunk = latents[start : start + rows].detach().double()
        out[start : start + rows] = _nearest_chunk(chunk, words, square)
    return out


def _nearest_chunk(latents: Tensor, words: Tensor, square: Tensor) -> Tensor:
    """`nearest` for (n, D) float64 latents; `square` (K,) are the codewords' squared norms."""
    score = torch.addmm(square[None], latents, words.t(), alpha=-2)  # distance - |latent|^2
    # Rounding of a dot product is below D u |z||c| (u = 2**-53; Higham 2002, section 3.1), of
    # |c|^2 below D u |c|^2; two scores are compared, and the factor of 8 also covers the additions.
    norm = latents.square().sum(1).sqrt() + square.max().sqrt()
    slack = 8 * (latents.shape[1] + 4) * 2.0**-53 * norm.square()  # (n,)
    row, word = (score <= (score.amin(1) + slack)[:, None]).nonzero(as_tuple=True)
    if len(row) == len(latents):  # one candidate each, as nearly always
        return word
    return _settle(latents, words, row, word)


def _settle(latents: Tensor, words: Tensor, row: Tensor, word: Tensor) -> Tensor:
    """Choose among candidates: for each row, the one of least direct distance, then lowest index.

    Args:
        latents: (n, D) float64.
        words: (K, D) float64.
        row: (M,) int64, ascending: the latent of each candidate; every row occurs.
        word: (M,) int64: the codeword of each candidate.

    Returns:
        (n,) int64.
    """
    distance = latents.new_zeros(len(row))
    # One dimension after the other: a library's reduction may add in an order that depends on the
    # place in memory, and duplicates would differ in the last bit.
    for dim in range(latents.shape[1]):
        difference = latents[row, dim] - words[word, dim]
        distance += difference * difference
    least = latents.new_full((len(latents),), math.inf).scatter_reduce(0, row, distance, "amin")
    is_least = distance == least[row]
    start = torch.full((len(latents),), len(words), dtype=torch.int64, device=word.device)
    best = start.scatter_reduce(0, row[is_least], word[is_least], "amin")
    return best.clamp_max(len(words) - 1)  # latents that are not finite have no candidate


class SimVQ(nn.Module):
    """A trainable codebook: a frozen basis seen through one learned linear layer.

    All codewords move together with the layer, so none is left behind unused. The layer starts as
    the
    identity: the basis is set to k-means centres of living latents.

    Args:
        basis: (K, D) float32, the codewords to start from.
        on_sphere: codewords are scaled to norm sqrt(D), as the light net's latents are.

    Source: Zhu et al., SimVQ, arXiv 2411.02038, section 4.
    """

    basis: Tensor

    def __init__(self, basis: Tensor, on_sphere: bool = True) -> None:
        super().__init__()
        self.on_sphere = on_sphere
        self.register_buffer("basis", basis.detach().float().clone())
        dim = basis.shape[1]
        self.linear = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.linear.weight)

    def codewords(self) -> Tensor:
        """Return the codebook as it stands now, (K, D), with gradients to the linear layer."""
        words: Tensor = self.linear(self.basis)
        return to_sphere(words) if self.on_sphere else words

    @torch.no_grad()
    def fold(self) -> Tensor:
        """Return the plain table that a pack stores, (K, D) float32."""
        return self.codewords().detach().clone()


def to_sphere(vectors: Tensor) -> Tensor:
    """Scale (N, D) vectors to norm sqrt(D)."""
    return F.normalize(vectors, dim=1) * math.sqrt(vectors.shape[1])
