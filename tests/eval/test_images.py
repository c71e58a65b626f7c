"""Pictures to measure on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval import images


def test_rate_counts_the_whole_file_over_the_pixels() -> None:
    assert images.bits_per_pixel(1536, 512, 768) == pytest.approx(0.03125)
    assert images.bits_per_pixel(1, 1, 1) == 8


def test_mosaic_mirrors_instead_of_cutting() -> None:
    photo = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    filled = images.mosaic([photo], 5, 8)
    assert filled.shape == (5, 8, 3)
    assert np.array_equal(filled[:2, :3], photo)
    assert np.array_equal(filled[:2, 3:6], photo[:, ::-1])
    assert np.array_equal(filled[2:4, :3], photo[::-1])
    assert np.array_equal(filled[4:5, :3], photo[:1])


def test_mosaic_uses_every_photo() -> None:
    photos = [np.full((2, 2, 3), level, np.uint8) for level in (10, 20, 30)]
    assert sorted(set(images.mosaic(photos, 6, 5).ravel().tolist())) == [10, 20, 30]


def test_mosaic_needs_a_photo() -> None:
    with pytest.raises(ValueError, match="at least one"):
        images.mosaic([], 4, 4)


def test_images_are_found_by_name_and_others_left_out(tmp_path: Path) -> None:
    for name in ("b.png", "a.webp", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in images.find_images(tmp_path)] == ["a.webp", "b.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no image"):
        images.find_images(tmp_path / "empty")


def test_gray_becomes_rgb_and_alpha_is_refused(tmp_path: Path) -> None:
    Image.new("L", (4, 2), 7).save(tmp_path / "gray.png")
    assert images.read_rgb(tmp_path / "gray.png").tolist() == np.full((2, 4, 3), 7).tolist()
    Image.new("RGBA", (4, 2)).save(tmp_path / "alpha.png")
    with pytest.raises(ValueError, match="mode RGBA"):
        images.read_rgb(tmp_path / "alpha.png")


def test_sample_photo_is_the_bundled_one() -> None:
    assert images.sample_photo().shape == (427, 640, 3)
