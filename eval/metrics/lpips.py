"""LPIPS v0.1, after Zhang et al. 2018 (arXiv 1801.03924), on AlexNet, SqueezeNet or VGG-16.

Gives what the package lpips gives, without torchvision, from the package's heads and torchvision's
ImageNet weights; for measuring, never for training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from eval.metrics.backbones import KINDS, Backbone
from eval.metrics.pictures import FeatureDistance, planes
from eval.metrics.selfcheck import complaint
from eval.metrics.weights import Shelf, WeightsAbsentError, digest, package_file, read_tensors

# ImageNet's mean and deviation for inputs in [-1, 1], with the digits that the package has.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class Lpips(FeatureDistance):
    """Weighted squared differences of two pictures' unit-length features at several depths.

    Args:
        net: one of `KINDS`.
        backbone: the network.
        heads: (C,) weights of the channels at each of the network's taps.
        source: see `Metric`.
    """

    def __init__(
        self, net: str, backbone: Backbone, heads: Sequence[torch.Tensor], source: str
    ) -> None:
        kind = KINDS[net]
        super().__init__(f"lpips_{net}", source, kind.min_side, kind.bytes_per_pixel)
        self._backbone = backbone
        self._heads = heads
        self._shift = torch.tensor(SHIFT).view(1, 3, 1, 1)
        self._scale = torch.tensor(SCALE).view(1, 3, 1, 1)

    def _features(self, picture: NDArray[np.uint8]) -> Iterator[torch.Tensor]:
        x = (planes(picture) / 127.5 - 1 - self._shift) / self._scale
        for stage in self._backbone.stages(x):
            yield stage / (torch.linalg.vector_norm(stage, dim=1, keepdim=True) + 1e-10)

    def _distance(self, number: int, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        # Mean over the picture first: the heads then have (C,) to weigh instead of maps.
        return second.sub_(first).square_().mean((0, 2, 3)) @ self._heads[number]


def load_lpips(net: str, shelf: Shelf) -> Lpips:
    """Load LPIPS on a network and compare it with known figures.

    Raises:
        WeightsAbsentError: weights are missing or are not LPIPS's.
    """
    # Heads first: they are small, and a backbone without them need not be downloaded.
    heads, heads_from = _heads(net, shelf)
    backbone, backbone_from = shelf.backbone(net)
    used = digest([*backbone.state_dict().values(), *heads])
    source = f"LPIPS v0.1, {backbone_from} and {heads_from}, weights {used}"
    metric = Lpips(net, backbone, heads, source)
    wrong = complaint(metric)
    if wrong:
        files = f"{backbone_from} and {heads_from}"
        place = f"weights in {shelf.folder} ({files})" if shelf.folder else files
        raise WeightsAbsentError(f"{place} are not LPIPS's: {wrong}")
    return metric


def _heads(net: str, shelf: Shelf) -> tuple[list[torch.Tensor], str]:
    """Return the heads' weights, (C,) float32 each, and where they are from."""
    path, key, origin = shelf.stored(f"lpips_{net}.safetensors"), "lin{}", ""
    if path is None:
        found = package_file("lpips", "lpips", f"weights/v0.1/{net}.pth")
        if found is None:
            raise WeightsAbsentError(
                f"no heads for LPIPS: pip install --no-deps lpips, or put lpips_{net}.safetensors "
                "into the folder of weights"
            )
        (path, origin), key = found, "lin{}.model.1.weight"
    tensors = read_tensors(path)
    heads = []
    for number, width in enumerate(KINDS[net].widths):
        head = tensors.get(key.format(number))
        if head is None or head.numel() != width:
            raise WeightsAbsentError(f"{path}: no {key.format(number)} of {width} values")
        heads.append(head.float().flatten())
    return heads, origin or path.name
