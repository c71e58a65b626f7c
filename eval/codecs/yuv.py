"""RGB to the samples that video codecs take, and back.

BT.709, limited range, 10 bits: Y = 64 + 876 y and C = 512 + 896 c, with y in 0 to 1 and c in -0.5
to 0.5 of the nonlinear R, G and B. 4:2:0: a chroma sample is the mean of 2 x 2 pixels and lies in
their middle; on the way back chroma is interpolated linearly between these places. Planar, 16 bits
a sample, little endian: Y, Cb, Cr.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KR, KB = 0.2126, 0.0722
KG = 1 - KR - KB
BYTES_PER_PIXEL = 3  # two for Y, two for Cb and Cr of every fourth pixel


def even(side: int) -> int:
    """Round a side up to an even number, which 4:2:0 needs."""
    return side + side % 2


def to_yuv420p10(pixels: NDArray[np.uint8]) -> bytes:
    """Convert (H, W, 3) uint8 RGB; an odd side gets its last row or column twice."""
    height, width = pixels.shape[:2]
    padded = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    red, green, blue = np.moveaxis(padded.astype(np.float64) / 255, 2, 0)
    luma = KR * red + KG * green + KB * blue
    planes = [64 + 876 * luma]
    for colour, weight in ((blue, KB), (red, KR)):
        chroma = (colour - luma) / (2 * (1 - weight))
        rows, columns = chroma.shape
        means = chroma.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
        planes.append(512 + 896 * means)
    return b"".join(np.rint(plane).astype("<u2").tobytes() for plane in planes)


def from_yuv420p10(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Convert back.

    Args:
        data: of a picture whose sides are `height` and `width` rounded up to even numbers.
        height: rows to keep.
        width: columns to keep.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        ValueError: the data has another size.
    """
    rows, columns = even(height), even(width)
    if len(data) != BYTES_PER_PIXEL * rows * columns:
        raise ValueError(
            f"{len(data):,} bytes of 10-bit 4:2:0 are no picture of {columns}x{rows} pixels"
        )
    samples = np.frombuffer(data, "<u2").astype(np.float64)
    luma, cb, cr = np.split(samples, [rows * columns, rows * columns * 5 // 4])
    y = (luma.reshape(rows, columns) - 64) / 876
    b_y, r_y = (
        _doubled(_doubled((plane.reshape(rows // 2, columns // 2) - 512) / 896, 0), 1)
        * (2 * (1 - weight))
        for plane, weight in ((cb, KB), (cr, KR))
    )
    blue, red = y + b_y, y + r_y
    green = (y - KR * red - KB * blue) / KG
    rgb = np.stack([red, green, blue], axis=2)[:height, :width]
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def _doubled(plane: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Double one side: new samples lie a quarter to either side of the old ones."""
    lines = np.moveaxis(plane, axis, 0)
    before = np.concatenate([lines[:1], lines[:-1]])
    after = np.concatenate([lines[1:], lines[-1:]])
    pairs = np.stack([0.75 * lines + 0.25 * before, 0.75 * lines + 0.25 * after], axis=1)
    return np.moveaxis(pairs.reshape(-1, *lines.shape[1:]), 0, axis)
