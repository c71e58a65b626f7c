"""Codebooks: the base from living latents, and nine tiers from the base by k-means.

Source: Mao et al. 2023, arXiv 2307.08265, section 3: smaller codebooks by k-means of the large one.
Words may be weighted by how often they are used under a tier's condition, so that unused ones take
no centre, or latents be clustered in their place. scikit-learn does the clustering, in float64 and
with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.errors import BackendError
from vqcodec.nets.quantizer import nearest, to_sphere
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import Codebooks
from vqcodec.training.tokenizer import Tokenizer

TIERS = range(1, 10)
UNUSED_WEIGHT = 0.01  # of the mean usage, so that k-means never runs out of points
BATCH, COLLECT_SEED = 18, 1

Say = Callable[[str], None]


def codebook_size(tier: int) -> int:
    """Codewords of a tier: 8 for tier 1 to 2048 for tier 9."""
    return 1 << (tier + 2)


def collect(model: Tokenizer, photos: Photos, tier: int, n_latents: int) -> NDArray[np.float32]:
    """Living latents of random crops under a tier's condition, (n_latents, D)."""
    random = np.random.default_rng((COLLECT_SEED, tier))
    parts: list[NDArray[np.float32]] = []
    while sum(map(len, parts)) < n_latents:
        parts.append(model.latents(photos.batch(BATCH, random), tier))
    return np.concatenate(parts)[:n_latents]


def fit_base(latents: NDArray[np.float32], how: Codebooks, *, on_sphere: bool) -> Tensor:
    """Cluster living latents to the base codebook.

    Args:
        latents: (N, D), N at least `how.base_size`.
        how: sizes and seed.
        on_sphere: scale centres to norm sqrt(D).

    Returns:
        (K_base, D) float32, ordered along the first principal axis.
    """
    cluster = _sklearn().MiniBatchKMeans(
        how.base_size, n_init=1, batch_size=8192, max_iter=40, random_state=how.seed
    )
    return _finish(cluster.fit(latents).cluster_centers_, None, on_sphere)


def usage(latents: NDArray[np.float32], base: Tensor) -> NDArray[np.int64]:
    """How often each base codeword is the nearest one, (K_base,)."""
    found = nearest(torch.from_numpy(latents), base).numpy()
    return np.bincount(found, minlength=len(base)).astype(np.int64)


def fit_tier(
    points: NDArray[np.floating],
    tier: int,
    how: Codebooks,
    counts: NDArray[np.int64] | None = None,
    *,
    on_sphere: bool,
) -> Tensor:
    """Cluster points to a tier's codebook.

    Args:
        points: (N, D) codewords of the base, or latents.
        tier: 1 to 9.
        how: restarts and seed.
        counts: (N,) usage of each word, or None for equal weights.
        on_sphere: scale centres to norm sqrt(D).

    Returns:
        (K_T, D) float32, ordered along the first principal axis.
    """
    weight = None
    if counts is not None:
        weight = counts / max(1, counts.sum()) * len(counts) + UNUSED_WEIGHT
    cluster = _sklearn().KMeans(codebook_size(tier), n_init=how.n_init, random_state=how.seed)
    points = np.asarray(points, np.float64)
    return _finish(cluster.fit(points, sample_weight=weight).cluster_centers_, points, on_sphere)


def make_tiers(model: Tokenizer, photos: Photos, how: Codebooks, say: Say) -> dict[int, Tensor]:
    """Make all nine codebooks of a model that has a base codebook, by `how.tiers_from`."""
    if model.base is None:
        raise ValueError("the model has no base codebook")
    out = {}
    base = model.base.cpu()
    for tier in TIERS:
        points, counts = base.numpy(), None
        if how.tiers_from != "words":
            latents = collect(model, photos, tier, how.latents)
            if how.tiers_from == "latents":
                points = latents
            else:
                counts = usage(latents, base)
                say(f"tier {tier}: {(counts > 0).mean():.0%} of the base words are used")
        out[tier] = fit_tier(points, tier, how, counts, on_sphere=model.net.on_sphere)
    return out


def _finish(centres: NDArray[np.floating], axis_of: object, on_sphere: bool) -> Tensor:
    """Scale centres and order them along the first principal axis."""
    words = torch.from_numpy(np.asarray(centres, np.float64))
    if on_sphere:
        words = to_sphere(words)
    points = words if axis_of is None else torch.from_numpy(np.asarray(axis_of))
    axis = torch.linalg.svd(points - points.mean(0), full_matrices=False).Vh[0]
    axis = axis * axis[axis.abs().argmax()].sign()  # an SVD leaves the sign open
    return words[(words @ axis).argsort(stable=True)].float()


def _sklearn() -> object:
    try:
        import sklearn.cluster
    except ImportError as error:
        raise BackendError(
            "training needs scikit-learn, which is not installed. Run 'pip install vqcodec[train]'."
        ) from error
    return sklearn.cluster
