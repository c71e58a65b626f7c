"""Padding to a multiple of the stride, and the crop that undoes it.

The networks halve an image several times, so both sides must be multiples of the stride. Rows and
columns are added at the bottom and at the right by repeating the edge: no hard border that costs
indices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pad(pixels: NDArray[np.uint8], stride: int) -> NDArray[np.uint8]:
    """Repeat the last row and column until both sides are multiples of `stride`.

    Args:
        pixels: (H, W, 3) uint8, H and W at least 1.
        stride: at least 1, pixels.

    Returns:
        (H', W', 3) uint8 with H' and W' the next multiples; the top left (H, W) part is `pixels`.
        The very array that came in where nothing is to be added.

    Raises:
        ValueError: an empty image, not three axes, or a stride below 1.
    """
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels of shape {pixels.shape}, want (H, W, 3) with H and W at least 1")
    if stride < 1:
        raise ValueError(f"stride {stride}, want at least 1")
    height, width, _ = pixels.shape
    below, right = -height % stride, -width % stride
    if below == 0 and right == 0:
        return pixels
    return np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")


def crop(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Cut the top left `height` x `width` part out; undoes `pad`.

    Args:
        pixels: (H, W, 3) uint8.
        height: 1 to H.
        width: 1 to W.

    Returns:
        (height, width, 3) uint8, contiguous.

    Raises:
        ValueError: the part does not lie inside the image.
    """
    if pixels.ndim != 3 or not (1 <= height <= pixels.shape[0] and 1 <= width <= pixels.shape[1]):
        raise ValueError(f"no part of {height} rows and {width} columns in {pixels.shape}")
    return np.ascontiguousarray(pixels[:height, :width])
