"""Codebooks of the tiers, from a checkpoint's one codebook and, where there are some, from photos.

A tier as large as the codebook is the codebook, word for word. Smaller ones are k-means centres: of
the words as they stand (the way of Mao et al. 2023), or, with photos at hand, of whatever of three
things serves best: the words, the words weighted by their use, the encoder's outputs. Each is
fitted on one half of the photos and judged on the other by the mean squared distance of an output
to its nearest centre.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqcodec.bitstream.layout import TIERS
from vqcodec.errors import InputError
from vqcodec.nets.load import Nets
from vqcodec.nets.quantizer import nearest
from vqcodec.training.photos import SHORTER_PX, read_photos
from vqcodec.training.recipe import Codebooks
from vqcodec.training.refusal import Refused
from vqcodec.training.tiers import LARGE, LATENTS_PER_WORD, fit_tier, usage

# One start: centres of thousands of points in hundreds of dimensions hardly depend on it, and four
# would take four times as long.
HOW: Final = Codebooks(n_init=1)
MAX_LATENTS: Final = 1 << 17  # 128 MiB at 256 numbers each; about 85 photos of 768 x 512 at f16
WAYS: Final = ("words", "used words", "latents")
_KODAK: Final = 768 * 512

Say = Callable[[str], None]
Latents = NDArray[np.float32]


@dataclass(frozen=True)
class Halves:
    """Outputs of the encoder on photos, no photo in both halves.

    Attributes:
        fit: (N, D), codebooks are made of these.
        judge: (N', D), and compared on these.
        n_photos: how many there were.
    """

    fit: Latents
    judge: Latents
    n_photos: int


@dataclass(frozen=True)
class TierWords:
    """A tier's codebook.

    Attributes:
        tier: its id.
        words: (K_T, D), in the codebook's dtype where it is the codebook.
        way: one of `WAYS`, or "the codebook".
        distances: of each way that was tried, on the photos' second half.
        counts: (K_T,) use on all photos, zeros without photos.
    """

    tier: int
    words: Tensor
    way: str
    distances: Mapping[str, float] = field(default_factory=dict)
    counts: NDArray[np.int64] | None = None


def tiers_within(n_words: int) -> list[int]:
    """Tiers whose codebooks are no larger than the checkpoint's."""
    return [tier for tier, size in TIERS.items() if size <= n_words]


def collect(
    nets: Nets, data: Sequence[Path], n_photos: int, refused: Refused, n_words: int, say: Say
) -> Halves:
    """Run the encoder over photos.

    Args:
        nets: a network that ignores the tier, with any codebook.
        data: folders or tars of photos; larger ones are shrunk as for training.
        n_photos: take so many.
        refused: images that models are judged by; photos that resemble one are left out.
        n_words: K of the codebook.
        say: takes progress lines.

    Raises:
        InputError: a source is missing, or the photos are too few for the tiers.
        BackendError: ImageHash is missing, or out of memory.
    """
    halves: tuple[list[Latents], list[Latents]] = ([], [])
    tier, seen, n_latents, alike = next(iter(nets.codebooks)), 0, 0, []
    photos = (read_photos(source, shorter_px=SHORTER_PX) for source in data)
    for name, pixels in chain.from_iterable(photos):
        height, width = (size // nets.stride * nets.stride for size in pixels.shape[:2])
        if not height or not width:
            continue
        if (like := refused.match(pixels)) is not None:
            alike.append(f"{name} (resembles {like})")
            continue
        latents = nets.to_latents(np.ascontiguousarray(pixels[:height, :width]), tier)
        halves[seen % 2].append(latents.reshape(-1, latents.shape[2]))
        seen, n_latents = seen + 1, n_latents + len(halves[seen % 2][-1])
        if seen % 10 == 0:
            say(f"encoded {seen} photos, {n_latents:,} positions")
        if seen == n_photos or n_latents >= MAX_LATENTS:
            break
    if alike:
        say(f"left out {len(alike)} that are evaluation images: {', '.join(alike[:3])}")
    made = [TIERS[tier] for tier in tiers_within(n_words) if TIERS[tier] != n_words]
    need = max(made, default=1)
    if min(map(_count, halves)) < need:
        positions = _KODAK // nets.stride**2
        raise InputError(
            f"{', '.join(map(str, data))}: {seen:,} photos with {n_latents:,} positions are too "
            f"few; a codebook of {need:,} words is made of one half and judged on the other. Give "
            f"{max(2, -(-2 * need // positions)):,} photos of 768 x 512 or more, or none."
        )
    fit, judge = (np.concatenate(half) for half in halves)
    return Halves(fit, judge, seen)


def make_tiers(codebook: Tensor, photos: Halves | None, say: Say) -> list[TierWords]:
    """Make the codebook of every tier that is no larger than the checkpoint's.

    Args:
        codebook: (K, D) floats.
        photos: from `collect`, or None.
        say: takes progress lines.

    Returns:
        Ascending by tier.

    Raises:
        BackendError: scikit-learn is not installed.
    """
    base = codebook.float()
    used = None if photos is None else usage(photos.fit, base)
    out = []
    for tier in tiers_within(len(base)):
        if TIERS[tier] == len(base):
            made = TierWords(tier, codebook, "the codebook")
        else:
            made = _best(base, tier, photos, used)
        if photos is not None:
            counts = usage(photos.fit, made.words.float()) + usage(photos.judge, made.words.float())
            made = TierWords(tier, made.words, made.way, made.distances, counts)
        how = made.way if made.way not in WAYS else f"k-means of the {made.way}"
        say(f"tier {tier}: {len(made.words):,} words, {how}")
        out.append(made)
    return out


def _best(
    base: Tensor, tier: int, photos: Halves | None, used: NDArray[np.int64] | None
) -> TierWords:
    """The tier's codebook by whichever way comes nearest to the photos' second half."""
    if photos is None:
        return TierWords(tier, _fit(base.numpy(), tier), WAYS[0])
    made = {
        "words": _fit(base.numpy(), tier),
        "used words": _fit(base.numpy(), tier, used),
        "latents": _fit(_drawn(photos.fit, tier), tier),
    }
    distances = {way: _distance(photos.judge, words) for way, words in made.items()}
    way = min(WAYS, key=lambda way: distances[way])  # the first of equals
    return TierWords(tier, made[way], way, distances)


def _fit(
    points: NDArray[np.floating], tier: int, counts: NDArray[np.int64] | None = None
) -> Tensor:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Codebooks have words that never came alive and are all alike: centres will be, too.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_tier(points, tier, HOW, counts, on_sphere=False)


def _drawn(latents: Latents, tier: int) -> Latents:
    """As many of the latents as training would take for this tier, at random."""
    size = TIERS[tier]
    n_latents = max(HOW.latents, LATENTS_PER_WORD * size if size > LARGE else 0)
    if len(latents) <= n_latents:
        return latents
    chosen = np.random.default_rng((HOW.seed, tier)).choice(len(latents), n_latents, replace=False)
    return latents[np.sort(chosen)]


def _distance(latents: Latents, words: Tensor) -> float:
    """Mean squared distance of latents to their nearest words."""
    tensor = torch.from_numpy(latents)
    return float((tensor - words[nearest(tensor, words)]).square().sum(1).double().mean())


def _count(half: list[Latents]) -> int:
    return sum(map(len, half))
