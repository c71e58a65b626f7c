"""Codebooks: the base from living latents, and the tiers from the base by k-means.

Source: Mao et al. 2023, arXiv 2307.08265, section 3: smaller codebooks by k-means of the large one.
Words may be weighted by how often they are used under a tier's condition, so that unused ones take
no centre, or latents be clustered in their place, as they are for tiers that have no fewer words
than the base. scikit-learn does the clustering, in float64 and with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.bitstream.layout import TIERS
from vqcodec.errors import BackendError
from vqcodec.nets.quantizer import nearest, to_sphere
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import Codebooks
from vqcodec.training.tokenizer import Tokenizer

UNUSED_WEIGHT = 0.01  # of the mean usage, so that k-means never runs out of points
# Above this many words k-means goes by mini-batches: its time grows with words times points.
LARGE, LATENTS_PER_WORD = 2048, 16
BATCH, COLLECT_SEED = 18, 1

Say = Callable[[str], None]


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
        tier: its id.
        how: restarts (up to 2048 words) and seed.
        counts: (N,) usage of each word, or None for equal weights.
        on_sphere: scale centres to norm sqrt(D).

    Returns:
        (K_T, D) float32, ordered along the first principal axis.
    """
    weight = None
    if counts is not None:
        weight = counts / max(1, counts.sum()) * len(counts) + UNUSED_WEIGHT
    size, sklearn = TIERS[tier], _sklearn()
    if size > LARGE:
        cluster = sklearn.MiniBatchKMeans(
            size, n_init=1, batch_size=16384, max_iter=8, init="random", random_state=how.seed
        )
    else:
        cluster = sklearn.KMeans(size, n_init=how.n_init, random_state=how.seed)
    points = np.asarray(points, np.float64)
    return _finish(cluster.fit(points, sample_weight=weight).cluster_centers_, points, on_sphere)


def make_tiers(
    model: Tokenizer, photos: Photos, tiers: Sequence[int], how: Codebooks, say: Say
) -> dict[int, Tensor]:
    """Make codebooks of a model that has a base codebook, by `how.tiers_from`."""
    if model.base is None:
        raise ValueError("the model has no base codebook")
    out = {}
    base = model.base.cpu()
    for tier in tiers:
        points, counts, size = base.numpy(), None, TIERS[tier]
        if how.tiers_from == "latents" or size >= len(base):
            n_latents = max(how.latents, LATENTS_PER_WORD * size if size > LARGE else 0)
            points = collect(model, photos, tier, n_latents)
            say(f"tier {tier}: {size:,} words from {n_latents:,} latents")
        elif how.tiers_from == "used words":
            counts = usage(collect(model, photos, tier, how.latents), base)
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
