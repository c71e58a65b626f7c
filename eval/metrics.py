"""PSNR, MS-SSIM and LPIPS of decoded 8-bit pictures.

Every metric takes two (H, W, 3) uint8 arrays, the original first, and returns a float. Nothing is
rounded, clipped or resized here: what is measured is what a viewer would get.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

MIN_MS_SSIM_SIDE = 161  # below it the coarsest of five scales is smaller than its window
MIN_LPIPS_SIDE = 31  # below it AlexNet's second pooling has nothing left


class Metric(Protocol):
    """A metric that needs loading first."""

    source: str  # where its weights come from, for the results file

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
        """Return the distance of two (H, W, 3) uint8 pictures."""


def _check(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> None:
    for picture in (original, decoded):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"expected (H, W, 3) uint8, got {picture.shape} {picture.dtype}")
    if original.shape != decoded.shape:
        raise ValueError(f"shapes differ: {original.shape} and {decoded.shape}")


def psnr(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of all channels, in dB; inf where equal."""
    _check(original, decoded)
    error = original.astype(np.float64) - decoded
    mse = float(np.mean(error * error))
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def ms_ssim(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float | None:
    """Multi-scale SSIM, mean of R, G and B, by the package pytorch-msssim with its defaults.

    Returns:
        A number up to 1, or None where a side is shorter than 161 pixels, on which it is undefined.
    """
    _check(original, decoded)
    if min(original.shape[:2]) < MIN_MS_SSIM_SIDE:
        return None
    import pytorch_msssim
    import torch

    with torch.no_grad():
        value = pytorch_msssim.ms_ssim(_planes(original), _planes(decoded), data_range=255)
    return float(value)


def _planes(picture: NDArray[np.uint8]) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 255]."""
    import torch

    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]


class _PackageLpips:
    """LPIPS v0.1 on AlexNet by the package `lpips`, which loads AlexNet from PyTorch's site."""

    def __init__(self) -> None:
        import importlib.metadata
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls torchvision by an interface of old
            import lpips

            self._net = lpips.LPIPS(net="alex", verbose=False).eval()
        self.source = f"package lpips {importlib.metadata.version('lpips')}"

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
        import torch

        _check(original, decoded)
        with torch.no_grad():
            first, second = (_planes(p) / 127.5 - 1 for p in (original, decoded))
            return float(self._net(first, second))


class _LocalLpips:
    """LPIPS v0.1 on AlexNet by eval/alexnet.py, from weights on disk."""

    def __init__(self, weights: Path) -> None:
        from eval.alexnet import AlexLpips

        self._net = AlexLpips.load(weights)
        self.source = f"eval/alexnet.py, weights {self._net.digest}"

    def __call__(self, original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> float:
        import torch

        _check(original, decoded)
        with torch.no_grad():
            first, second = (_planes(p) / 127.5 - 1 for p in (original, decoded))
            return float(self._net(first, second))


def load_lpips(weights: Path | None) -> Metric | None:
    """Return LPIPS on AlexNet, or None where neither way to it is open.

    The package comes first. It needs torchvision, which fails at import beside a torch of another
    build, and the network's weights, which it fetches; so any failure there leads to the local way,
    which gives the same figures to within the fp16 rounding of its stored weights.

    Args:
        weights: folder with `alex.safetensors` and `lpips_alex.safetensors`, or None.

    Raises:
        FileNotFoundError: a folder was named but lacks one of the two files.
    """
    with contextlib.suppress(Exception):
        return _PackageLpips()
    return _LocalLpips(weights) if weights is not None else None
