"""LPIPS v0.1 on AlexNet, after Zhang et al. 2018 (arXiv 1801.03924), from two safetensors files.

`alex.safetensors` holds the five convolutions of torchvision's ImageNet AlexNet by torchvision's
keys (`features.0.weight`, ...), `lpips_alex.safetensors` the five linear heads of the package
`lpips` (`lin0` ... `lin4`). Gives what the package gives; for measuring, never for training.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

# Input in [-1, 1] to ImageNet's mean and deviation, as in the package's ScalingLayer.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
WIDTHS = (64, 192, 384, 256, 256)
TAPS = (1, 4, 7, 9, 11)  # the layers after each ReLU


class AlexLpips(nn.Module):
    """Weighted squared differences of two pictures' unit-length features at five depths."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = ""
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.heads = nn.ParameterList(torch.zeros(1, width, 1, 1) for width in WIDTHS)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))

    @classmethod
    def load(cls, folder: Path) -> AlexLpips:
        """Read both weight files of a folder.

        Raises:
            FileNotFoundError: one of them is missing.
        """
        backbone, heads = folder / "alex.safetensors", folder / "lpips_alex.safetensors"
        for path in (backbone, heads):
            if not path.is_file():
                raise FileNotFoundError(f"LPIPS needs {path}")
        net = cls()
        net.digest = hashlib.sha256(backbone.read_bytes() + heads.read_bytes()).hexdigest()[:16]
        # Dots in ParameterList's keys: `lin3` is `heads.3`.
        stored = load_file(backbone) | {
            f"heads.{name.removeprefix('lin')}": head.view(1, -1, 1, 1)
            for name, head in load_file(heads).items()
        }
        wanted = net.state_dict()
        net.load_state_dict(
            {key: stored.get(key, wanted[key]).float() for key in wanted}, strict=True
        )
        missing = wanted.keys() - stored.keys() - {"shift", "scale"}
        if missing:
            raise ValueError(f"{folder}: weights lack {', '.join(sorted(missing))}")
        return net.requires_grad_(False).eval()

    def _unit_features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) in [-1, 1] -> five maps (B, C, h, w), unit length over C."""
        maps = []
        x = (image - self.shift) / self.scale
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in TAPS:
                maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return maps

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Return the distance (B,) of two batches (B, 3, H, W) float32 in [-1, 1]; H, W >= 31."""
        pairs = zip(self._unit_features(first), self._unit_features(second), strict=True)
        depths = [
            F.conv2d((a - b).square(), head).mean((1, 2, 3))
            for (a, b), head in zip(pairs, self.heads, strict=True)
        ]
        return torch.stack(depths).sum(0)
