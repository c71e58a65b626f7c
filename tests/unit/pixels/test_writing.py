"""Writing images: the suffix decides, lossless kinds keep every pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, features

from vqcodec.errors import OutputError
from vqcodec.pixels.files import IMAGE_SUFFIXES, read_image, write_image

KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
}


def smooth(height=40, width=56):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, x + y], 2).astype(np.uint8)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_the_suffix_decides_the_kind(suffix) -> None:
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    data = write_image(smooth(), suffix.upper())
    assert Image.open(io.BytesIO(data)).format == KINDS[suffix]
    pixels, notes = read_image(data, max_pixels=10**6)
    assert notes == []
    slack = 12 if suffix in (".jpg", ".jpeg", ".avif") else 0
    assert np.abs(pixels.astype(int) - smooth()).max() <= slack


@pytest.mark.parametrize("suffix", [".png", ".ppm", ".webp", ".bmp", ".tif"])
def test_a_single_pixel_is_written(suffix) -> None:
    pixels = np.array([[[1, 2, 3]]], np.uint8)
    assert np.array_equal(read_image(write_image(pixels, suffix), max_pixels=1)[0], pixels)


@pytest.mark.parametrize(
    ("suffix", "fact"), [(".gif", "'.gif' is no image suffix"), ("", "the name has no suffix")]
)
def test_unknown_suffixes_are_refused_with_those_allowed(suffix, fact) -> None:
    with pytest.raises(OutputError) as caught:
        write_image(smooth(), suffix)
    assert caught.value.message == (
        f"{fact} that can be written. Choose one of "
        ".png .jpg .jpeg .webp .avif .bmp .tif .tiff .ppm."
    )


def test_a_size_that_the_kind_cannot_hold_is_refused() -> None:
    with pytest.raises(OutputError, match=r"20000 x 1 px cannot be written as \.webp .*\.png"):
        write_image(np.zeros((1, 20_000, 3), np.uint8), ".webp")


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_other_arrays_are_a_mistake_of_the_caller(pixels) -> None:
    with pytest.raises(ValueError, match="want"):
        write_image(pixels, ".png")
