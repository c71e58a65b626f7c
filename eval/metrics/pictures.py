"""What the metrics share: pairs of pictures, planes of samples, features of the last original."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

MAX_KEPT_BYTES = 2**29  # of features of one original and metric


def check(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> None:
    """Refuse what is no pair of (H, W, 3) uint8 pictures of one shape.

    Raises:
        ValueError: it is none.
    """
    for picture in (original, decoded):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"expected (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
    if original.shape != decoded.shape:
        raise ValueError(f"shapes differ: {original.shape} and {decoded.shape}")


def planes(picture: NDArray[np.uint8]) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 255].

    The samples stay in their order (channels_last): on a CPU MS-SSIM is then three times as fast.
    """
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]


def content(picture: NDArray[np.uint8]) -> tuple[object, ...]:
    """Return what two arrays share only if they show the same picture.

    An array may be filled anew and another may take its address, so identity would not do.
    """
    return picture.shape, hashlib.blake2b(picture.tobytes()).digest()


class FeatureDistance:
    """Base of the metrics that compare the features of a network, one stage after the other.

    An original is compared with what many codecs made of it, so its features are kept until the
    next original comes, unless they are too large.

    Args:
        name: see `Metric`.
        source: see `Metric`.
        min_side: see `Metric`.
        bytes_per_pixel: size of all stages' features.
    """

    higher_is_better = False

    def __init__(self, name: str, source: str, min_side: int, bytes_per_pixel: int) -> None:
        self.name = name
        self.source = source
        self.min_side = min_side
        self._bytes_per_pixel = bytes_per_pixel
        self._key: object = None
        self._kept: list[Any] = []

    def _features(self, picture: NDArray[np.uint8]) -> Iterator[Any]:
        """Yield each stage's features of a picture."""
        raise NotImplementedError

    def _distance(self, number: int, first: Any, second: Any) -> torch.Tensor:
        """Return what stage `number` adds to the distance; may overwrite `second`."""
        raise NotImplementedError

    @torch.inference_mode()
    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
        """Measure a pair of pictures; see `Metric`."""
        check(original, decoded)
        if min(original.shape[:2]) < self.min_side:
            return None
        pairs = zip(self._of_original(original), self._features(decoded), strict=True)
        return float(sum(self._distance(n, a, b) for n, (a, b) in enumerate(pairs)))

    def _of_original(self, picture: NDArray[np.uint8]) -> Iterable[Any]:
        if picture.shape[0] * picture.shape[1] * self._bytes_per_pixel > MAX_KEPT_BYTES:
            return self._features(picture)  # stage by stage, so that no two are held at once
        key = content(picture)
        if key != self._key:
            self._key, self._kept = None, []  # let go of the old before the new is made
            self._kept = list(self._features(picture))
            self._key = key
        return self._kept
