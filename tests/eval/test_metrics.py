"""Metrics against values known by arithmetic, or computed once with the defining packages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from eval import metrics
from eval.images import read_rgb


def waves(height: int, width: int, *, swapped: bool = False) -> NDArray[np.uint8]:
    """A picture by formula, (height, width, 3): the same on every machine."""
    y, x = np.mgrid[:height, :width]
    red, green = (2 * y, 2 * x) if swapped else (2 * x, 2 * y)
    return np.stack([red % 256, green % 256, (x + y) % 256], -1).astype(np.uint8)


def test_psnr_of_a_constant_error() -> None:
    original = np.full((8, 9, 3), 100, np.uint8)
    assert metrics.psnr(original, original + np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5))
    assert metrics.psnr(original, original - np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5))
    assert metrics.psnr(original, original) == math.inf


def test_psnr_is_not_fooled_by_unsigned_arithmetic() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert metrics.psnr(black, white) == pytest.approx(0)
    assert metrics.psnr(white, black) == pytest.approx(0)


def test_ms_ssim_of_equal_pictures_is_one() -> None:
    picture = waves(170, 165)
    assert metrics.ms_ssim(picture, picture) == pytest.approx(1, abs=1e-6)


def test_ms_ssim_is_absent_below_161_pixels() -> None:
    assert metrics.ms_ssim(waves(160, 300), waves(160, 300)) is None
    assert metrics.ms_ssim(waves(161, 161), waves(161, 161)) is not None


def test_ms_ssim_falls_with_the_error() -> None:
    picture = waves(176, 176)
    slight, strong = (np.clip(picture + np.int16([e, -e, e]), 0, 255).astype(np.uint8)
                      for e in (8, 60))  # fmt: skip
    first, second = metrics.ms_ssim(picture, slight), metrics.ms_ssim(picture, strong)
    assert first is not None
    assert second is not None
    assert 1 > first > second > 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32)),
    ],
)
def test_metrics_refuse_what_is_no_pair_of_pictures(
    first: NDArray[np.generic], second: NDArray[np.generic]
) -> None:
    with pytest.raises(ValueError, match=r"shape|expected"):
        metrics.psnr(first, second)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lpips(shared_weights: Path) -> metrics.Metric:
    return metrics._LocalLpips(shared_weights)


def test_lpips_of_equal_pictures_is_zero(lpips: metrics.Metric) -> None:
    assert lpips(waves(64, 64), waves(64, 64)) == 0


# Computed with the package lpips 0.1.4 (net="alex"), AlexNet's weights in fp16 as stored.
def test_lpips_gives_what_the_package_gives(lpips: metrics.Metric) -> None:
    found = lpips(waves(96, 128), waves(96, 128, swapped=True))
    assert found == pytest.approx(0.6476539, abs=2e-5)


def test_lpips_gives_what_the_package_gives_on_a_photo(
    lpips: metrics.Metric, shared_data: Path
) -> None:
    photo = read_rgb(shared_data / "kodak" / "kodim01.png")
    half = Image.fromarray(photo).resize((384, 256), Image.Resampling.LANCZOS)
    blurred = np.asarray(half.resize((768, 512), Image.Resampling.LANCZOS))
    assert lpips(photo, blurred) == pytest.approx(0.35255, abs=2e-3)


def test_lpips_works_from_31_pixels(lpips: metrics.Metric) -> None:
    side = metrics.MIN_LPIPS_SIDE
    assert math.isfinite(lpips(waves(side, side), waves(side, side, swapped=True)))
    with pytest.raises(RuntimeError):
        lpips(waves(side - 1, side), waves(side - 1, side))


def test_lpips_is_absent_without_weights_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)  # as if not installed
    assert metrics.load_lpips(None) is None
    with pytest.raises(FileNotFoundError, match=r"alex\.safetensors"):
        metrics.load_lpips(tmp_path)
