"""Photos for training and measuring: folders or tars of images to uint8 arrays and random crops.

All photos are decoded once and held as uint8 (7,200 photos of 320 pixels take 2.7 GiB), in memory
of the GPU where there is one.
"""

from __future__ import annotations

import concurrent.futures as futures
import functools
import tarfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vqcodec.bitstream.layout import MAX_PIXELS
from vqcodec.errors import ImageError, InputError
from vqcodec.pixels.files import read_image

if TYPE_CHECKING:  # it reads folders through this module
    from vqcodec.training.refusal import Refused

SUFFIXES = frozenset({".avif", ".jpg", ".jpeg", ".png", ".webp"})
SHORTER_PX = 512  # larger photos are shrunk for training: at full size crops of 128 show little
DOUBLE_SHARE = 1 / 3  # of the crops is taken at twice the size and halved: scales, and less noise


def read_photos(
    source: Path,
    *,
    most: int | None = None,
    threads: int = 1,
    shorter_px: int | None = None,
    skipped: list[str] | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Decode the photos of a folder (searched through, tars in it too) or of one tar, in order.

    Args:
        source: folder, `.tar` or one image.
        most: stop after so many.
        threads: decoders at work.
        shorter_px: shrink photos whose shorter side is longer.
        skipped: takes the names of files that are called like images and cannot be read.

    Yields:
        Name and (H, W, 3) uint8 pixels, upright.

    Raises:
        InputError: `source` is missing, or a tar is broken.
    """
    if not source.exists():
        raise InputError(f"{source}: not found.", path=source)
    decode = functools.partial(_decode, shorter_px=shorter_px)
    with futures.ThreadPoolExecutor(threads) as pool:
        items = islice(_files(source), most)
        while batch := list(islice(items, 64)):  # bounds what is read ahead
            for name, pixels in pool.map(decode, batch):
                if pixels is not None:
                    yield name, pixels
                elif skipped is not None:
                    skipped.append(name)


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    paths = sorted(source.rglob("*")) if source.is_dir() else [source]
    for path in paths:
        try:
            if path.suffix == ".tar":
                yield from _members(path)
            elif path.suffix.lower() in SUFFIXES and path.is_file():
                yield path.name, path.read_bytes()
        except (OSError, tarfile.TarError) as error:
            raise InputError(f"{path}: cannot be read ({error}).", path=path) from error


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and Path(member.name).suffix.lower() in SUFFIXES:
                yield member.name, file.read()


def _decode(
    item: tuple[str, bytes], shorter_px: int | None
) -> tuple[str, NDArray[np.uint8] | None]:
    name, data = item
    try:
        pixels, _ = read_image(data, max_pixels=MAX_PIXELS)
    except ImageError:
        return name, None
    height, width = pixels.shape[:2]
    if shorter_px is not None and min(height, width) > shorter_px:
        scale = shorter_px / min(height, width)
        size = (round(width * scale), round(height * scale))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, reducing_gap=2.0))
    return name, pixels


class Photos:
    """All photos in memory, dealt out as random crops.

    Args:
        sources: see `read_photos`.
        crop_px: side of the crops; smaller photos are left out.
        most: use only so many photos.
        threads: decoders at work.
        device: where the photos lie, so that a GPU need not wait for a CPU to cut crops.
        refused: evaluation images; photos that resemble one are left out.
        part: (n, of): take every of-th photo from the n-th on, for several processes.

    Attributes:
        all: the photos, (H, W, 3) uint8 each.
        left_out: what was left out and why, one line each.

    Raises:
        InputError: a source is missing, or there is no photo large enough.
    """

    def __init__(
        self,
        sources: Sequence[Path],
        crop_px: int,
        *,
        most: int | None = None,
        threads: int = 1,
        device: torch.device | None = None,
        refused: Refused | None = None,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.all: list[Tensor] = []
        unread: list[str] = []
        options = {"threads": threads, "shorter_px": SHORTER_PX, "skipped": unread}
        every = chain.from_iterable(read_photos(source, **options) for source in sources)
        small: list[str] = []
        alike: list[str] = []
        for name, pixels in islice(every, part[0], most, part[1]):
            if min(pixels.shape[:2]) < crop_px:
                small.append(name)
            elif refused is not None and (like := refused.match(pixels)) is not None:
                alike.append(f"{name} (resembles {like})")
            else:
                self.all.append(torch.tensor(pixels, device=device))
        reasons = {
            "cannot be read": unread,
            f"have a side below {crop_px} pixels": small,
            "are evaluation images": alike,
        }
        self.left_out = [_some(names, reason) for reason, names in reasons.items() if names]
        if not self.all:
            places = ", ".join(map(str, sources))
            raise InputError(f"{places}: no photo with {crop_px} pixels or more a side.")
        self.crop_px = crop_px

    @property
    def n_bytes(self) -> int:
        """Memory that the photos take."""
        return sum(photo.numel() for photo in self.all)

    def batch(self, n_crops: int, random: np.random.Generator) -> Tensor:
        """Return (n_crops, 3, crop_px, crop_px) float32 in [-1, 1], channels_last."""
        cuts = [self._cut(random) for _ in range(n_crops)]
        by_side = {len(cut): [c for c in cuts if len(c) == len(cut)] for cut in cuts}
        stacks = [torch.stack(alike).permute(0, 3, 1, 2).float() for alike in by_side.values()]
        halved = [x if x.shape[-1] == self.crop_px else F.avg_pool2d(x, 2) for x in stacks]
        crop = torch.cat(halved) / 127.5 - 1
        is_mirrored = torch.from_numpy(random.random(n_crops) < 0.5).to(crop.device)
        crop = torch.where(is_mirrored[:, None, None, None], crop.flip(-1), crop)
        return crop.contiguous(memory_format=torch.channels_last)

    def _cut(self, random: np.random.Generator) -> Tensor:
        """A view of a random photo, (side, side, 3) uint8; side is crop_px or twice that."""
        photo = self.all[random.integers(len(self.all))]
        is_double = min(photo.shape[:2]) >= 2 * self.crop_px
        is_double = is_double and random.random() < DOUBLE_SHARE
        side = 2 * self.crop_px if is_double else self.crop_px
        top, left = (random.integers(size - side + 1) for size in photo.shape[:2])
        return photo[top : top + side, left : left + side]


def _some(names: list[str], reason: str) -> str:
    """One line for all files that were left out for one reason."""
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"left out {len(names)} that {reason}: {shown}"
