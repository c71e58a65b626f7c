"""One photo at rising losses: what arrived, and what each restorer makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval import images, sheet
from eval.loss_bench import GREY, Setup, decode, encode, impair, meters, missing
from eval.loss_plan import IID, SEEDS_PER_IMAGE, Cell

RATES = (0.0, 0.1, 0.2, 0.3, 0.5)
CELL_PX = 272  # five of them are about 1500 pixels wide
QUALITY = 88


def save(
    path: Path, photo: Path, number: int, tier: int, kinds: Sequence[str], setup: Setup
) -> None:
    """Draw and write the strip, a JPEG.

    Args:
        path: of the strip.
        photo: the image.
        number: of the image among the folder's, for the losses' seeds: of each rate the first that
            loses just that share of the packets.
        tier: of the file.
        kinds: restorers, a row each below the row of what arrived.
        setup: of the run.

    Raises:
        ValueError: the image cannot be read.
        CodecError: the package refuses.
    """
    pixels = images.read_rgb(photo)
    data = encode(pixels, tier, setup)
    whole = decode(data, setup)
    _, lpips = meters(setup.weights)
    rows: list[list[sheet.Cell]] = [[] for _ in range(1 + len(kinds))]
    for loss in RATES:
        left = _lose(data, round(loss * setup.packets), loss, number)
        lost = len(missing(data, left))
        erased, painted = np.zeros(whole.indices.shape, bool), {}
        for kind in kinds:
            if lost == setup.packets:
                erased[:] = True
                painted[kind] = np.full_like(pixels, GREY)
            else:
                found = decode(left, setup, kind)
                erased, painted[kind] = found.erased, found.pixels
        holes = _holes(whole.pixels, erased, whole.pack.manifest.stride)
        note = f"{lost} of {setup.packets} packets"
        rows[0].append(sheet.Cell(_small(holes), f"{100 * loss:.0f} % loss", note))
        for row, kind in zip(rows[1:], kinds, strict=True):
            value = lpips(pixels, painted[kind])
            told = "" if value is None else f"LPIPS {value:.3f}"
            row.append(sheet.Cell(_small(painted[kind]), kind, told))
    subtitle = f"tier {tier}, {len(data):,} bytes; top row: what arrived, lost squares in grey"
    drawn = sheet.draw(f"{photo.stem}, packets lost one by one", subtitle, rows)
    drawn.save(path, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=True)


def _lose(data: bytes, count: int, loss: float, number: int) -> bytes:
    """Lose so many packets, or near enough: the first seed of the image that does."""
    cell = Cell(0, 0, False, IID, loss, None, 1)
    tries = (impair(data, cell, number, turn) for turn in range(SEEDS_PER_IMAGE))
    return next(
        (left for left in tries if len(missing(data, left)) == count), impair(data, cell, number, 0)
    )


def _holes(pixels: NDArray[np.uint8], erased: NDArray[np.bool_], stride: int) -> NDArray[np.uint8]:
    """Grey squares where the index is lost; (H, W, 3) and (h, w) to (H, W, 3)."""
    height, width = pixels.shape[:2]
    large = erased.repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width]
    return np.where(large[..., None], np.uint8(GREY), pixels)


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = (CELL_PX, max(1, round(CELL_PX * height / width)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
