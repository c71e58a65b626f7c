"""PSNR and MS-SSIM against arithmetic and the package's own figures."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.metrics.classic import MsSsim, Psnr
from eval.metrics.selfcheck import pairs, waves
from eval.metrics.weights import WeightsAbsentError


def test_psnr_of_a_constant_error() -> None:
    original = np.full((8, 9, 3), 100, np.uint8)
    for decoded in (original + np.uint8(5), original - np.uint8(5)):
        assert Psnr()(original, decoded) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_is_over_all_samples_of_all_channels() -> None:
    original = np.zeros((2, 2, 3), np.uint8)
    decoded = original.copy()
    decoded[0, 1, 2] = 6  # 36 over 12 samples
    assert Psnr()(original, decoded) == pytest.approx(10 * math.log10(255**2 / 3))


def test_psnr_of_equal_pictures_is_infinite_and_so_absent() -> None:
    assert Psnr()(waves(5, 6), waves(5, 6)) is None


def test_psnr_is_not_fooled_by_unsigned_arithmetic() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert Psnr()(black, white) == pytest.approx(0)
    assert Psnr()(white, black) == pytest.approx(0)


def test_ms_ssim_of_equal_pictures_is_one() -> None:
    assert MsSsim()(waves(170, 165), waves(170, 165)) == pytest.approx(1, abs=1e-6)


# Computed with pytorch-msssim 1.0.0 (data_range=255), outside this project.
def test_ms_ssim_gives_what_the_package_gives() -> None:
    original = waves(176, 200)
    coarse = np.minimum(original.astype(np.int64) // 12 * 12 + 6, 255).astype(np.uint8)
    assert MsSsim()(original, coarse) == pytest.approx(0.9719967, abs=1e-5)
    assert MsSsim()(original, waves(176, 200, swapped=True)) == pytest.approx(0.3922756, abs=1e-5)


def test_ms_ssim_is_absent_below_161_pixels() -> None:
    assert MsSsim()(waves(160, 300), waves(160, 300)) is None
    assert MsSsim()(waves(161, 161), waves(161, 161)) is not None


def test_ms_ssim_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)  # as if not installed
    with pytest.raises(WeightsAbsentError, match="pip install pytorch-msssim"):
        MsSsim()


@pytest.mark.parametrize("metric", [Psnr(), MsSsim()], ids=["psnr", "ms_ssim"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)),
        (np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 3), np.float32)),
    ],
    ids=["shapes differ", "gray", "floats"],
)
def test_metrics_refuse_what_is_no_pair_of_pictures(
    metric: Psnr | MsSsim, first: NDArray[np.generic], second: NDArray[np.generic]
) -> None:
    with pytest.raises(ValueError, match=r"shape|expected"):
        metric(first, second)  # type: ignore[arg-type]


def test_the_pictures_of_the_self_check_stay_what_they_are() -> None:
    (original, swapped), (_, coarse) = pairs()
    assert original[95, 127].tolist() == [254, 190, 222]
    assert swapped[95, 127].tolist() == [190, 254, 222]
    assert coarse[95, 127].tolist() == [255, 186, 222]  # 252 + 6 does not wrap round
    assert [int(p.sum()) for p in (original, swapped, coarse)] == [4091904, 4091904, 4122816]
