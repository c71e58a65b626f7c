"""Pictures by formula on which LPIPS is known: weights that give other figures are not LPIPS's.

The figures are from the package lpips 0.1.4 with its own heads, torchvision's SqueezeNet 1.1 and
AlexNet, the kernels of both rounded to fp16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.metrics.pictures import FeatureDistance

# By metric: of a clearly different pair, of a slightly different one, and the tolerance. Weights
# whose fp16 rounding was undone at random scatter by 4e-5 (AlexNet) and 8e-5 (SqueezeNet) about
# these figures; wrong heads or a wrong network are off by far more than five times that.
EXPECTED = {
    "lpips_alex": (0.647654, 0.161028, 2e-4),
    "lpips_squeeze": (0.491885, 0.207632, 5e-4),
}


def waves(height: int, width: int, *, swapped: bool = False) -> NDArray[np.uint8]:
    """A picture by formula, (height, width, 3): the same on every machine."""
    y, x = np.mgrid[:height, :width]
    red, green = (2 * y, 2 * x) if swapped else (2 * x, 2 * y)
    return np.stack([red % 256, green % 256, (x + y) % 256], -1).astype(np.uint8)


def pairs() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...]:
    """Return a clearly different and a slightly different pair of (96, 128, 3) uint8."""
    original = waves(96, 128)
    coarse = np.minimum(original.astype(np.int64) // 12 * 12 + 6, 255)  # 8 bits would wrap round
    return (original, waves(96, 128, swapped=True)), (original, coarse.astype(np.uint8))


def complaint(metric: FeatureDistance) -> str | None:
    """Return "self-check gave X instead of Y", or None where the figures are right or unknown."""
    if metric.name not in EXPECTED:
        return None
    *expected, tolerance = EXPECTED[metric.name]
    for (original, decoded), wanted in zip(pairs(), expected, strict=True):
        found = metric(original, decoded)
        # The negation catches nan too.
        if found is None or not abs(found - wanted) <= tolerance:
            return f"self-check gave {found:.6f} instead of {wanted:.6f}"
    return None
