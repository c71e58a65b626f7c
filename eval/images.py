"""Pictures to measure on: a folder's images, a bundled photo, large pictures made of small ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".avif")


def find_images(folder: Path) -> list[Path]:
    """List the images in a folder (not below it), by name.

    Args:
        folder: the folder to look into.

    Returns:
        Paths of files with an image's suffix, sorted.

    Raises:
        FileNotFoundError: there is no such folder, or no image in it.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"no image in {folder}")
    return found


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image as (H, W, 3) uint8 RGB, upright.

    Measuring wants the stored samples, so colours are not converted on the way.

    Raises:
        ValueError: no image, a damaged or a giant one, or one with alpha or more than 8 bits, so
            that RGB would be a guess. The message is one line and names the file.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 million pixels on, and refuses twice as many.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.mode not in ("RGB", "L"):
                    raise ValueError(f"mode {image.mode}; measuring takes 8-bit RGB or gray")
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Warning) as error:
        fact = "no image" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f"{path.name}: {fact}") from error


def sample_photo() -> NDArray[np.uint8]:
    """Return scikit-learn's bundled photo `china.jpg`, (427, 640, 3) uint8.

    Raises:
        ImportError: scikit-learn is not installed (extra [demo]).
    """
    from sklearn.datasets import load_sample_image

    return np.asarray(load_sample_image("china.jpg"), np.uint8)


def mosaic(photos: Sequence[NDArray[np.uint8]], height: int, width: int) -> NDArray[np.uint8]:
    """Fill a picture of any size with photos, mirrored at their borders so that no seam shows.

    Args:
        photos: at least one (H, W, 3) uint8; each fills a band of its own, one below the other.
        height: rows of the result, in pixels.
        width: columns of the result, in pixels.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: no photo was given.
    """
    if not photos:
        raise ValueError("a mosaic needs at least one photo")
    bands: list[NDArray[np.uint8]] = []
    rows = 0
    while rows < height:
        photo = photos[len(bands) % len(photos)]
        bands.append(photo[::-1] if len(bands) // len(photos) % 2 else photo)
        rows += len(photo)
    filled = []
    for band in bands:
        pair = np.concatenate([band, band[:, ::-1]], axis=1)
        repeats = -(-width // pair.shape[1])
        filled.append(np.tile(pair, (1, repeats, 1))[:, :width])
    return np.ascontiguousarray(np.concatenate(filled)[:height])


def bits_per_pixel(size_bytes: int, height: int, width: int) -> float:
    """Rate of a whole file over the original's pixels: 8 * size_bytes / (height * width)."""
    return 8 * size_bytes / (height * width)
