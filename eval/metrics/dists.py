"""DISTS, after Ding et al. 2020 (arXiv 2004.07728), on VGG-16, at the pictures' full size.

Gives what the package DISTS-pytorch gives, without torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from eval.metrics.backbones import KINDS, Backbone
from eval.metrics.pictures import FeatureDistance, planes
from eval.metrics.weights import Shelf, WeightsAbsentError, digest, package_file, read_tensors

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
WIDTHS = (3, *KINDS["vgg"].widths)  # the picture itself is the first stage
SMALL = 1e-6  # keeps the quotients finite


class _Stage(NamedTuple):
    centred: torch.Tensor  # (C, H, W), less the mean
    mean: torch.Tensor  # (C,)
    variance: torch.Tensor  # (C,)


def _blur_pool(x: torch.Tensor) -> torch.Tensor:
    """Halve (B, C, H, W) by the root of the blurred square, by a 3x3 Hanning window."""
    side = torch.tensor([0.25, 0.5, 0.25])
    window = (side[:, None] * side).expand(x.shape[1], 1, 3, 3)
    squares = F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1])
    return squares.add_(1e-12).sqrt_()


class Dists(FeatureDistance):
    """One less the weighted similarities of the features' means (texture) and of their structure.

    Args:
        backbone: VGG-16.
        alpha: weights of all stages' channels in the comparison of means, (sum of WIDTHS,).
        beta: the same for the comparison of structure.
        source: see `Metric`.
    """

    def __init__(
        self, backbone: Backbone, alpha: torch.Tensor, beta: torch.Tensor, source: str
    ) -> None:
        per_pixel = KINDS["vgg"].bytes_per_pixel + 12
        super().__init__("dists", source, 1, per_pixel)
        self._backbone = backbone
        total = alpha.sum() + beta.sum()
        self._alpha = (alpha / total).split(WIDTHS)
        self._beta = (beta / total).split(WIDTHS)
        self._mean = torch.tensor(MEAN).view(1, 3, 1, 1)
        self._deviation = torch.tensor(DEVIATION).view(1, 3, 1, 1)

    def _features(self, picture: NDArray[np.uint8]) -> Iterator[_Stage]:
        x = planes(picture) / 255
        yield self._stage(x)
        for stage in self._backbone.stages((x - self._mean) / self._deviation, _blur_pool):
            yield self._stage(stage)

    @staticmethod
    def _stage(maps: torch.Tensor) -> _Stage:
        mean = maps[0].mean((1, 2))
        centred = maps[0] - mean[:, None, None]
        return _Stage(centred, mean, centred.square().mean((1, 2)))

    def _distance(self, number: int, first: _Stage, second: _Stage) -> torch.Tensor:
        a, b = first.mean, second.mean
        texture = (2 * a * b + SMALL) / (a * a + b * b + SMALL)
        covariance = second.centred.mul_(first.centred).mean((1, 2))
        structure = (2 * covariance + SMALL) / (first.variance + second.variance + SMALL)
        # alpha and beta sum to one over all stages, so the ones of all stages do.
        return (1 - texture) @ self._alpha[number] + (1 - structure) @ self._beta[number]


def load_dists(shelf: Shelf) -> Dists:
    """Load DISTS.

    Raises:
        WeightsAbsentError: weights are missing or are not DISTS's.
    """
    path, origin = shelf.stored("dists.safetensors"), ""
    if path is None:
        found = package_file("DISTS_pytorch", "DISTS-pytorch", "weights.pt")
        if found is None:
            raise WeightsAbsentError(
                "no alpha and beta of DISTS: pip install --no-deps DISTS-pytorch, or put "
                "dists.safetensors into the folder of weights"
            )
        path, origin = found
    tensors = read_tensors(path)
    for key in ("alpha", "beta"):
        if key not in tensors or tensors[key].numel() != sum(WIDTHS):
            raise WeightsAbsentError(f"{path}: no {key} of {sum(WIDTHS)} values")
    alpha, beta = (tensors[key].detach().float().flatten() for key in ("alpha", "beta"))
    backbone, backbone_from = shelf.backbone("vgg")
    used = digest([*backbone.state_dict().values(), alpha, beta])
    source = f"DISTS, {backbone_from} and {origin or path.name}, weights {used}"
    return Dists(backbone, alpha, beta, source)
