"""Photos for training and measuring: folders or tars of images to uint8 arrays and random crops.

All photos are decoded once and held in memory as uint8 (7,200 photos of 320 pixels take 3 GiB).
"""

from __future__ import annotations

import concurrent.futures as futures
import io
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from vqcodec.errors import InputError

SUFFIXES = frozenset({".avif", ".jpg", ".jpeg", ".png", ".webp"})
DOUBLE_SHARE = (
    1 / 3
)  # of the crops are taken at twice the size and halved: other scales and less noise


def read_photos(
    source: Path, *, most: int | None = None, threads: int = 1
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Decode the photos of a folder (searched through, tars in it too) or of one tar, in order.

    Args:
        source: folder, `.tar` or one image.
        most: stop after so many.
        threads: decoders at work.

    Yields:
        Name and (H, W, 3) uint8 pixels; what is no image is skipped.

    Raises:
        InputError: `source` is missing.
    """
    if not source.exists():
        raise InputError(f"{source}: not found.", path=source)
    with futures.ThreadPoolExecutor(threads) as pool:
        items = islice(_files(source), most)
        while batch := list(islice(items, 64)):  # bounds what is read ahead
            for name, pixels in pool.map(_decode, batch):
                if pixels is not None:
                    yield name, pixels


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    paths = sorted(source.rglob("*")) if source.is_dir() else [source]
    for path in paths:
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    file = tar.extractfile(member)
                    if file is not None and Path(member.name).suffix.lower() in SUFFIXES:
                        yield member.name, file.read()
        elif path.suffix.lower() in SUFFIXES:
            yield path.name, path.read_bytes()


def _decode(item: tuple[str, bytes]) -> tuple[str, NDArray[np.uint8] | None]:
    name, data = item
    try:
        with Image.open(io.BytesIO(data)) as image:
            return name, np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError):
        return name, None


class Photos:
    """All photos in memory, dealt out as random crops.

    Args:
        source: see `read_photos`.
        crop_px: side of the crops; smaller photos are left out.
        seed: of the crops.
        most: use only so many photos.
        threads: decoders at work.

    Raises:
        InputError: there is no photo large enough.
    """

    def __init__(
        self, source: Path, crop_px: int, *, seed: int, most: int | None = None, threads: int = 1
    ) -> None:
        every = (pixels for _, pixels in read_photos(source, most=most, threads=threads))
        self.all = [pixels for pixels in every if min(pixels.shape[:2]) >= crop_px]
        if not self.all:
            raise InputError(
                f"{source}: no photo with {crop_px} pixels or more a side.", path=source
            )
        self.crop_px = crop_px
        self.random = np.random.default_rng(seed)

    def batch(self, n_crops: int) -> Tensor:
        """Return (n_crops, 3, crop_px, crop_px) float32 in [-1, 1], channels_last."""
        return torch.stack([self._crop() for _ in range(n_crops)]).contiguous(
            memory_format=torch.channels_last
        )

    def _crop(self) -> Tensor:
        pixels = self.all[self.random.integers(len(self.all))]
        is_double = min(pixels.shape[:2]) >= 2 * self.crop_px
        is_double = is_double and self.random.random() < DOUBLE_SHARE
        side = 2 * self.crop_px if is_double else self.crop_px
        top, left = (self.random.integers(size - side + 1) for size in pixels.shape[:2])
        window = pixels[top : top + side, left : left + side]
        if self.random.random() < 0.5:
            window = window[:, ::-1]
        crop = torch.from_numpy(window.astype(np.float32)).permute(2, 0, 1)
        if is_double:
            crop = F.avg_pool2d(crop, 2)
        return crop / 127.5 - 1
