"""The demo: one photo at three tiers beside the smallest JPEG, WebP and AVIF of the same photo.

Everything goes through real files, which stay in the folder beside the sheet.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

import vqcodec
from eval import images, sheet

TIERS = (1, 4, 8)
# The lowest quality that each encoder has, in colour, with options that may make the file smaller
# still; all are tried, since which one wins depends on the photo.
SMALLEST: dict[str, list[dict[str, Any]]] = {
    "JPEG": [
        {"quality": 1, "subsampling": "4:2:0", "optimize": True, "progressive": progressive}
        for progressive in (False, True)
    ],
    "WebP": [{"quality": 0, "method": method} for method in (4, 6)],
    "AVIF": [{"quality": 0, "subsampling": "4:2:0", "speed": speed} for speed in (2, 6)],
}


@dataclass(frozen=True)
class Result:
    """A coded file and what comes out of it."""

    codec: str
    size_bytes: int
    pixels: NDArray[np.uint8]  # (H, W, 3)
    seconds: str

    @property
    def bpp(self) -> float:
        """Rate of the whole file."""
        return images.bits_per_pixel(self.size_bytes, *self.pixels.shape[:2])


def run(folder: Path, photo: Path | None = None, model: str | None = None) -> Path:
    """Make the sheet, print a table and where everything is.

    Args:
        folder: made if need be; files of an earlier run are replaced.
        photo: an image, or None for scikit-learn's bundled china.jpg.
        model: a pack's name or folder; None takes the default.

    Returns:
        Path of the sheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = images.sample_photo() if photo is None else images.read_rgb(photo)
    name = "china" if photo is None else photo.stem
    ours = [_ours(folder / f"{name}-tier{tier}.vqc", pixels, tier, model) for tier in TIERS]
    theirs = [_smallest(folder / name, pixels, kind) for kind in SMALLEST if _is_built_in(kind)]
    path = folder / f"{name}.png"
    _draw(pixels, ours, theirs).save(path)
    print(f"{'':22} {'bytes':>8} {'bpp':>8}   encode, decode")
    for result in ours + theirs:
        print(f"{result.codec:22} {result.size_bytes:8,} {result.bpp:8.4f}   {result.seconds}")
    print("(the first encode loads the model)")
    print(f"\nside by side: {path}\nthe files:    {folder / name}*")
    return path


def _ours(path: Path, pixels: NDArray[np.uint8], tier: int, model: str | None) -> Result:
    start = time.perf_counter()
    path.write_bytes(vqcodec.encode(pixels, tier=tier, model=model))
    middle = time.perf_counter()
    decoded = vqcodec.decode(path.read_bytes(), model=model)
    seconds = f"{middle - start:.2f} s, {time.perf_counter() - middle:.2f} s"
    Image.fromarray(decoded).save(path.with_suffix(".png"))
    return Result(f"vqcodec, tier {tier}", path.stat().st_size, decoded, seconds)


def _is_built_in(kind: str) -> bool:
    """Whether this Pillow has the format."""
    return kind == "JPEG" or bool(features.check(kind.lower()))


def _smallest(stem: Path, pixels: NDArray[np.uint8], kind: str) -> Result:
    """The smallest file of a format at the photo's full size."""
    photo = Image.fromarray(pixels)
    start = time.perf_counter()
    tries = []
    for options in SMALLEST[kind]:
        buffer = io.BytesIO()
        photo.save(buffer, kind, **options)
        tries.append(buffer.getvalue())
    path = stem.with_name(f"{stem.name}-smallest.{kind.lower()}")
    path.write_bytes(min(tries, key=len))
    middle = time.perf_counter()
    with Image.open(path) as image:
        decoded = np.asarray(image.convert("RGB"))
    seconds = f"{(middle - start) / len(tries):.2f} s, {time.perf_counter() - middle:.2f} s"
    return Result(f"{kind}, lowest quality", path.stat().st_size, decoded, seconds)


def _draw(pixels: NDArray[np.uint8], ours: list[Result], theirs: list[Result]) -> Image.Image:
    """The original and our tiers above, the other codecs below."""
    height, width = pixels.shape[:2]
    raw = f"{pixels.nbytes:,} bytes raw"
    best = ours[-1]
    bars = sheet.Bars(
        "bytes of the whole file",
        [(result.codec, result.size_bytes, result in ours) for result in ours + theirs],
    )

    def cell(result: Result) -> sheet.Cell:
        ratio = result.size_bytes / best.size_bytes
        times = f"   {ratio:.1f} times our tier {TIERS[-1]}" if result in theirs else ""
        note = f"{result.size_bytes:,} bytes   {result.bpp:.4f} bpp{times}"
        return sheet.Cell(result.pixels, result.codec, note)

    return sheet.draw(
        f"{width} x {height} pixels in {ours[0].size_bytes:,} to {best.size_bytes:,} bytes",
        "Above: the photo and three tiers of vqcodec. "
        "Below: the smallest files that Pillow's other encoders make of it at this size.",
        [
            [sheet.Cell(pixels, "original", raw), *map(cell, ours)],
            [bars, *map(cell, theirs)],
        ],
    )
