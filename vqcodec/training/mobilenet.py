"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) as a judge of what a picture shows.

Training never uses it as a loss, so a model cannot have learned to please it: a decoder that
fools the nets it was trained with gains nothing here. Images are (B, 3, H, W) in [-1, 1], which is
the very range that this net was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.errors import InputError
from vqcodec.training.perceptual import Perceptual, read_weights, unit_distance

# Per row of the paper's table 2: expansion, channels out, blocks, stride of the first block.
ROWS = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
STEM, TOP, CLASSES = 32, 1280, 1001  # class 0 is "background", then ImageNet's thousand in order


class Halving(nn.Conv2d):
    """A 3x3 convolution of stride 2 that pads as TensorFlow's SAME does.

    An even side is padded behind its end only, an odd one at both ends. PyTorch's own padding would
    look half a pixel elsewhere at each of the five such layers.
    """

    def __init__(self, c_in: int, c_out: int, groups: int) -> None:
        super().__init__(c_in, c_out, 3, 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) to (B, c_out, ceil(H / 2), ceil(W / 2))."""
        height, width = x.shape[2:]
        return super().forward(F.pad(x, (width % 2, 1, height % 2, 1)))


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    if stride == 2:
        return nn.Sequential(Halving(c_in, c_out, groups), nn.ReLU6())
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups), nn.ReLU6()
    )


class Bottleneck(nn.Module):
    """1x1 up, 3x3 per channel, 1x1 down without an activation; residual where shapes allow it."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        c_mid = c_in * expansion
        up = [] if expansion == 1 else [_conv(c_in, c_mid, 1)]
        down = nn.Conv2d(c_mid, c_out, 1)
        self.conv = nn.Sequential(*up, _conv(c_mid, c_mid, 3, stride, groups=c_mid), down)
        self.is_residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) to (B, c_out, H / stride, W / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.is_residual else out


def _layers() -> nn.Sequential:
    layers: list[nn.Module] = [_conv(3, STEM, 3, 2)]
    c_in = STEM
    for expansion, c_out, n_blocks, stride in ROWS:
        for n in range(n_blocks):
            layers.append(Bottleneck(c_in, c_out, 1 if n else stride, expansion))
            c_in = c_out
    return nn.Sequential(*layers, _conv(c_in, TOP, 1))


class Mobilenet(Perceptual):
    """MobileNetV2 1.0: distance of unit-length features over four depths.

    Args:
        folder: where `mobilenet_v2.safetensors` is; batch norm folded, torchvision's keys.

    Raises:
        InputError: the file is missing or holds other tensors.
    """

    # The last block at strides 4, 8, 16 and 32: all that the net still knows at that scale goes
    # through these 24, 32, 96 and 320 channels. Stride 2 is left out, texture being what the other
    # metrics see; layer 18, behind the last one, is left to the classifier.
    TAPS = (3, 6, 13, 17)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.layers, self.classifier = _layers(), nn.Conv2d(TOP, CLASSES, 1)
        path = folder / "mobilenet_v2.safetensors"
        state = {
            key.replace("features.", "layers.").replace("classifier.1.", "classifier."): value
            for key, value in read_weights(path).items()
        }
        try:
            self.load_state_dict({key: value.float() for key, value in state.items()})
        except RuntimeError as error:
            raise InputError(
                f"{path}: not the weights of MobileNetV2 ({error}).", path=path
            ) from error
        self.requires_grad_(False).eval()

    def features(self, image: Tensor) -> list[Tensor]:
        """Feature maps of unit length along the channels, at strides 4, 8, 16 and 32."""
        x, out = image, []
        for n, layer in enumerate(self.layers[: self.TAPS[-1] + 1]):
            x = layer(x)
            if n in self.TAPS:
                out.append(F.normalize(x.float(), dim=1))
        return out

    def distance(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
        """Mean over depths of the squared distance of unit vectors, (B,)."""
        return unit_distance(ours, theirs)

    def logits(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) to one figure per class, (B, 1001); right answers prove a right port."""
        x: Tensor = self.layers(image).mean((2, 3), keepdim=True)  # (B, 1280, 1, 1)
        return self.classifier(x).flatten(1)
