"""The networks under LPIPS and DISTS: torchvision's, up to the last layer that is compared.

Layers carry the numbers that they have in torchvision's `features`, so that its ImageNet weights
fit by their own keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Kind:
    """What is to know about a network.

    Attributes:
        title: its name in messages.
        stored: its safetensors file in a folder of weights.
        published: its file at PyTorch, whose name ends on the first digits of its SHA-256.
        size: of the published file.
        large: True where it is not fetched unasked.
        layers: makes the layers.
        taps: the layers whose output is compared.
        widths: channels at the taps.
        min_side: the shortest side, in pixels, that the layers take.
        bytes_per_pixel: of the picture, at all taps together, rounded up.
    """

    title: str
    stored: str
    published: str
    size: str
    large: bool
    layers: Callable[[], list[nn.Module]]
    taps: tuple[int, ...]
    widths: tuple[int, ...]
    min_side: int
    bytes_per_pixel: int


class _Fire(nn.Module):
    """SqueezeNet's block: few channels, then many by kernels of two sizes."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) -> (B, 2 * expanded, H, W)."""
        x = self.squeeze(x).relu_()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu_()


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)  # nothing reads what comes before it


def _alex() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), _relu(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), _relu(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), _relu(),
        nn.Conv2d(384, 256, 3, padding=1), _relu(),
        nn.Conv2d(256, 256, 3, padding=1), _relu(),
    ]  # fmt: skip


def _squeeze() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 3, stride=2), _relu(), nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(64, 16, 64), _Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(128, 32, 128), _Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True),
        _Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256),
    ]  # fmt: skip


def _vgg() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), _relu()]
            channels = width
    return layers


KINDS = {
    "alex": Kind(
        "AlexNet", "alex.safetensors", "alexnet-owt-7be5be79.pth", "233 MB", False,
        _alex, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31, 42,
    ),
    "squeeze": Kind(
        "SqueezeNet", "squeeze.safetensors", "squeezenet1_1-b8a52dc0.pth", "5 MB", False,
        _squeeze, (1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512), 17, 142,
    ),
    "vgg": Kind(
        "VGG-16", "vgg16.safetensors", "vgg16-397923af.pth", "528 MB", True,
        _vgg, (3, 8, 15, 22, 29), (64, 128, 256, 512, 512), 16, 488,
    ),
}  # fmt: skip


class Backbone(nn.Module):
    """A network whose layers' outputs are looked at on the way.

    Args:
        kind: what it is made of.
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self._taps = kind.taps
        self.features = nn.Sequential(*kind.layers())
        # Channels last: twice as fast on a CPU, most of all in the pooling.
        self.to(memory_format=torch.channels_last)

    def stages(
        self, x: torch.Tensor, pool: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> Iterator[torch.Tensor]:
        """Yield the output of each tapped layer; it must not be changed.

        Args:
            x: (B, 3, H, W) float32, normalised as the network wants it.
            pool: takes the place of every max pooling, if given.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        for number, layer in enumerate(self.features):
            x = pool(x) if pool and isinstance(layer, nn.MaxPool2d) else layer(x)
            if number in self._taps:
                yield x
