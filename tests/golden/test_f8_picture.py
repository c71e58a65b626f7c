"""Pixels of a pack of stride 8; its index maps are in test_golden.py and need no network."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import vqcodec
from tests.golden.make import TINY_F8
from tests.golden.make_f8_picture import FILE, PICTURE

pytest.importorskip("taming", reason="taming-transformers is not installed (extra [taming])")


def test_the_picture_is_the_golden_one() -> None:
    found = vqcodec.decode(FILE.read_bytes(), model=TINY_F8, device="cpu").astype(np.int64)
    with Image.open(PICTURE) as image:
        wanted = np.asarray(image)
    assert found.shape == wanted.shape == (99, 150, 3)
    error = np.abs(found - wanted)
    assert (error <= 2).mean() >= 0.999
    assert np.square(error).mean() <= 255**2 / 10**4.5
    assert wanted.std() > 20, "a picture of one colour would prove nothing"
