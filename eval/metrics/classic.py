"""Metrics without trained weights: PSNR and MS-SSIM."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math

import numpy as np
import torch
from numpy.typing import NDArray

from eval.metrics.pictures import check, planes
from eval.metrics.weights import WeightsAbsentError


class Psnr:
    """Peak signal-to-noise ratio over all samples of all channels, in dB; None where equal."""

    name = "psnr_db"
    source = "10 log10(255^2 / MSE), MSE over all samples of R, G and B"
    higher_is_better = True
    min_side = 1

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
        """Measure a pair of pictures; see `Metric`."""
        check(original, decoded)
        error = original.astype(np.float64) - decoded
        mse = float(np.mean(error * error))
        return 10 * math.log10(255**2 / mse) if mse else None


class MsSsim:
    """Multi-scale SSIM, mean of R, G and B, by the package pytorch-msssim with its defaults.

    Raises:
        WeightsAbsentError: the package is not installed.
    """

    name = "ms_ssim"
    higher_is_better = True
    min_side = 161  # below it the coarsest of five scales is smaller than its window

    def __init__(self) -> None:
        if importlib.util.find_spec("pytorch_msssim") is None:
            raise WeightsAbsentError("pytorch-msssim is not installed: pip install pytorch-msssim")
        self.source = f"package pytorch-msssim {importlib.metadata.version('pytorch-msssim')}"

    @torch.inference_mode()
    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
        """Measure a pair of pictures; see `Metric`."""
        from pytorch_msssim import ms_ssim

        check(original, decoded)
        if min(original.shape[:2]) < self.min_side:
            return None
        return float(ms_ssim(planes(original), planes(decoded), data_range=255))
