"""Frozen perceptual features and distances on them, from local safetensors files.

LPIPS (Zhang et al. 2018, arXiv 1801.03924, version 0.1) on SqueezeNet 1.1, and on AlexNet for
measuring only; VGG-19 features by plain distance; `mobilenet.py` has one more judge that is never
a loss. Images are (B, 3, H, W) in [-1, 1]. One net alone gets fooled: with squeeze only, the
decoder paints a grid that SqueezeNet's stride of 2 cannot see (docs/TRAINING.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.errors import InputError

# LPIPS' own input scaling: ImageNet's mean and deviation for values in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Fire(nn.Module):
    """SqueezeNet's block: 1x1 down, then 1x1 and 3x3 side by side."""

    def __init__(self, c_in: int, c_mid: int, c_out: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(c_in, c_mid, 1)
        self.expand1x1 = nn.Conv2d(c_mid, c_out, 1)
        self.expand3x3 = nn.Conv2d(c_mid, c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) to (B, 2 c_out, H, W)."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


def _squeeze_layers() -> nn.Sequential:
    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    fires = [(128, 32, 128), (256, 32, 128), pool(), (256, 48, 192), (384, 48, 192)]
    fires += [(384, 64, 256), (512, 64, 256)]
    head = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool()]
    return nn.Sequential(*head, *[Fire(*f) if isinstance(f, tuple) else f for f in fires])


def _alex_layers() -> nn.Sequential:
    return nn.Sequential(
        *[nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()],
        *[nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU()],
    )


LPIPS_NETS: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "squeeze": (_squeeze_layers, (1, 4, 7, 9, 10, 11, 12)),
    "alex": (_alex_layers, (1, 4, 7, 9, 11)),
}


class Perceptual(nn.Module):
    """A frozen net: `features` of an image, `distance` of two lists of features."""

    def features(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] to feature maps, shallow ones first."""
        raise NotImplementedError

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """Distance of two images' features, (B,)."""
        raise NotImplementedError

    def forward(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Distance of two batches of images, (B,)."""
        return self.distance(self.features(ours), self.features(theirs))


class Lpips(Perceptual):
    """LPIPS 0.1 with backbone and heads from `NAME.safetensors` and `lpips_NAME.safetensors`.

    Args:
        name: "squeeze" or "alex".
        folder: where both files are.

    Raises:
        InputError: a file is missing or holds other tensors.
    """

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__()
        layers, self.taps = LPIPS_NETS[name]
        self.layers = layers()
        path = folder / f"{name}.safetensors"
        state = {key.removeprefix("features."): value for key, value in read_weights(path).items()}
        heads = read_weights(folder / f"lpips_{name}.safetensors")
        try:
            self.layers.load_state_dict(
                {key: state[key].float() for key in self.layers.state_dict()}
            )
            for n in range(len(self.taps)):
                self.register_buffer(f"head{n}", heads[f"lin{n}"].float().view(1, -1, 1, 1))
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{path}: not the weights of {name} ({error}).", path=path) from error
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """Feature maps of unit length along the channels."""
        x, out = (image - self.shift) / self.scale, []
        for n, layer in enumerate(self.layers):
            x = layer(x)
            if n in self.taps:
                wide = x.float()  # a length in bfloat16 would be off by 0.4 %
                out.append(wide / (wide.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return out

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """LPIPS, (B,)."""
        parts = [
            ((a - b).square() * getattr(self, f"head{n}")).sum(1).mean((1, 2))
            for n, (a, b) in enumerate(zip(ours, theirs, strict=True))
        ]
        return torch.stack(parts).sum(0)


class Vgg19(Perceptual):
    """VGG-19 to conv5_1 (the original weights): distance of unit-length features over five depths.

    Args:
        folder: where `vgg19.safetensors` is; deep kernels may be uint8 with `scale_min`.

    Raises:
        InputError: the file is missing or holds other tensors.
    """

    TAPS = (2, 7, 16, 25, 28)  # relu1_2, 2_2, 3_4, 4_4, 5_1
    POOLS = (5, 10, 19, 28)  # a pool stands before these layers
    LAYERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        path = folder / "vgg19.safetensors"
        state = read_weights(path)
        try:
            for n in self.LAYERS:
                weight = state.get(f"features.{n}.weight")
                if weight is None:
                    scale, low = state[f"features.{n}.scale_min"].tolist()
                    weight = state[f"features.{n}.weight_q"].float() * scale + low
                weight = weight.float().contiguous(memory_format=torch.channels_last)
                self.register_buffer(f"weight{n}", weight)
                self.register_buffer(f"bias{n}", state[f"features.{n}.bias"].float())
        except (KeyError, ValueError) as error:
            raise InputError(f"{path}: not the weights of VGG-19 ({error}).", path=path) from error
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """Feature maps of unit length along the channels."""
        x, out = ((image + 1) / 2 - self.mean) / self.deviation, []
        for n in self.LAYERS:
            if n in self.POOLS:
                x = F.max_pool2d(x, 2)
            x = F.relu(
                F.conv2d(x, getattr(self, f"weight{n}"), getattr(self, f"bias{n}"), padding=1)
            )
            if n in self.TAPS:
                out.append(F.normalize(x.float(), dim=1))
        return out

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """Mean over depths of the squared distance of unit vectors, (B,)."""
        return unit_distance(ours, theirs)


def unit_distance(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Mean over depths of the squared distance of unit vectors (B, C, H, W) there, (B,)."""
    parts = [(a - b).square().sum(1).mean((1, 2)) for a, b in zip(ours, theirs, strict=True)]
    return torch.stack(parts).mean(0)


def perceptual(name: str, folder: Path) -> Perceptual:
    """Make a frozen feature net: "squeeze", "vgg19", "mobilenet" or "alex"."""
    from vqcodec.training.mobilenet import Mobilenet  # late: it builds on this module

    kinds: dict[str, Callable[[Path], Perceptual]] = {"vgg19": Vgg19, "mobilenet": Mobilenet}
    net = kinds[name](folder) if name in kinds else Lpips(name, folder)
    return net.to(memory_format=torch.channels_last)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of frozen weights; InputError when it is missing or broken."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable safetensors file.", path=path) from error
