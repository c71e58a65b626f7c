"""Kernels as sub-vectors, and tables of words for them by k-means.

A kernel (O, I, kh, kw) is flattened to rows (O, C); each row is divided by its root mean square and
cut into sub-vectors of d neighbours, so that one table of k words serves all rows of a layer.

Source: vector quantisation of weights as in Zhu et al., LR2VQ, arXiv 2211.11397, and Deng et al.,
VQ4DiT, arXiv 2408.17131.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vqcodec.errors import BackendError

SAMPLE = 32768  # sub-vectors that k-means sees
ROUNDS = 15


@dataclass(frozen=True)
class Shape:
    """How a layer is coded.

    Attributes:
        n_words: k, a power of two.
        dim: d, weights per sub-vector.
        rank: r, dimensions in which words lie; d where they are the sub-vectors themselves.
    """

    n_words: int
    dim: int
    rank: int

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.n_words.bit_length() - 1

    def n_bytes(self, rows: int, columns: int) -> int:
        """Bytes of a kernel (O, C): codes, words, what restores them, scales."""
        n_codes = rows * -(-columns // self.dim)
        table = self.n_words * self.rank + (self.dim * self.rank if self.rank < self.dim else 0)
        return -(-n_codes * self.bits // 8) + 2 * (table + rows)


@dataclass
class Coded:
    """A kernel in codes, still in floats.

    Attributes:
        codes: (O, n) int64.
        words: (k, r).
        restore: (d, r), or None.
        scale: (O,).
        columns: C.
    """

    codes: Tensor
    words: Tensor
    restore: Tensor | None
    scale: Tensor
    columns: int

    def table(self) -> Tensor:
        """Return the sub-vectors that codes stand for, (k, d)."""
        return self.words if self.restore is None else self.words @ self.restore.t()

    def rows(self) -> Tensor:
        """Return the kernel's rows, (O, C)."""
        found = self.table()[self.codes].flatten(1)[:, : self.columns]
        return found * self.scale[:, None]

    def rounded(self) -> Coded:
        """Return it as it will be read from a file, in f16."""
        restore = None if self.restore is None else _half(self.restore)
        return Coded(self.codes, _half(self.words), restore, _half(self.scale), self.columns)


def cut(kernel: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Cut a kernel into sub-vectors.

    Args:
        kernel: (O, ...) float32.
        dim: d.

    Returns:
        Rows divided by their scale and padded with zeros, (O, C padded to a multiple of d); the
        scales (O,), rounded to f16.
    """
    rows = kernel.flatten(1)
    scale = _half(rows.square().mean(1).sqrt().clamp_min(1e-6))
    return F.pad(rows / scale[:, None], (0, -rows.shape[1] % dim)), scale


def fit_words(vectors: Tensor, importance: Tensor, n_words: int, seed: int) -> Tensor:
    """Cluster sub-vectors.

    Args:
        vectors: (n, d).
        importance: (n,) weight of each one's error.
        n_words: k; more than there are distinct vectors repeats some.
        seed: of the sample and of k-means.

    Returns:
        (k, d) float32.
    """
    random = np.random.default_rng(seed)
    chosen = torch.from_numpy(random.permutation(len(vectors))[: max(SAMPLE, 4 * n_words)])
    points = vectors[chosen].cpu().numpy()
    distinct = np.unique(points, axis=0)
    if len(distinct) <= n_words:
        words = np.resize(distinct, (n_words, points.shape[1]))
        return torch.from_numpy(words).to(vectors.device)
    cluster = _sklearn().KMeans(
        n_words, init="random", n_init=1, max_iter=ROUNDS, random_state=seed, algorithm="lloyd"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rounds are few on purpose: calibration follows
        cluster.fit(points, sample_weight=importance[chosen].cpu().numpy())
    return torch.from_numpy(cluster.cluster_centers_.astype(np.float32)).to(vectors.device)


def closest(vectors: Tensor, table: Tensor) -> Tensor:
    """Find the nearest row of a table (k, d) for each of (n, d); (n,) int64."""
    rows = max(1, (1 << 22) // len(table))
    square = table.square().sum(1)
    parts = torch.split(vectors, rows)
    return torch.cat([(square - 2 * part @ table.t()).argmin(1) for part in parts])


def _half(values: Tensor) -> Tensor:
    return values.detach().half().float()


def _sklearn() -> Any:
    try:
        import sklearn.cluster
    except ImportError as error:
        raise BackendError(
            "compressing a pack needs scikit-learn, which is not installed. Run 'pip install "
            "vqcodec[train]'."
        ) from error
    return sklearn.cluster
