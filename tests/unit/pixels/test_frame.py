"""Padding and cropping: any size, back to the very pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vqcodec.pixels.frame import crop, pad


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_cropping_undoes_padding(height, width, stride, seed) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    padded = pad(pixels, stride)
    assert padded.dtype == np.uint8
    assert padded.shape[0] % stride == padded.shape[1] % stride == 0
    assert padded.shape[0] - height < stride
    assert padded.shape[1] - width < stride
    assert np.array_equal(crop(padded, height, width), pixels)
    assert (padded[height:] == padded[height - 1]).all()
    assert (padded[:, width:] == padded[:, width - 1 : width]).all()


def test_a_single_pixel_fills_the_frame() -> None:
    assert (pad(np.full((1, 1, 3), 7, np.uint8), 16) == np.full((16, 16, 3), 7)).all()


def test_a_fitting_image_is_not_copied() -> None:
    pixels = np.zeros((32, 16, 3), np.uint8)
    assert pad(pixels, 16) is pixels


def test_a_crop_is_contiguous() -> None:
    assert crop(np.zeros((32, 32, 3), np.uint8), 5, 6).flags.c_contiguous


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3), (4, 4)])
def test_shapes_without_pixels_are_refused(shape) -> None:
    with pytest.raises(ValueError, match="shape"):
        pad(np.zeros(shape, np.uint8), 16)


def test_a_stride_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="stride 0"):
        pad(np.zeros((4, 4, 3), np.uint8), 0)


@pytest.mark.parametrize(("height", "width"), [(0, 4), (5, 4), (4, 5)])
def test_a_crop_outside_is_refused(height, width) -> None:
    with pytest.raises(ValueError, match="no part"):
        crop(np.zeros((4, 4, 3), np.uint8), height, width)
