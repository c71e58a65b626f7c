"""The light net as graphs: `nets/light.py` in ONNX.

| graph | inputs | output |
|---|---|---|
| encoder | `image` float32 (1, 3, H, W) in [-1, 1], H and W multiples of 16; `tier` int32 (1,) | `latent` float32 (1, D, H / 16, W / 16), norm sqrt(D) |
| decoder | `latent` float32 (1, D, h, w), codewords as they stand in the pack; `tier` int32 (1,) | `image` float32 (1, 3, 16 h, 16 w), about [-1, 1], not clamped |
"""  # noqa: E501  (a table)

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from vqcodec.errors import PackError
from vqcodec.onnx.convolution import convolve
from vqcodec.onnx.graph import FLOAT, INT32, Graph, Value
from vqcodec.onnx.stored import Array, Stored
from vqcodec.packs.networks import LightPlan

_FINEST = 4  # stride of the encoder's first layer


def encoder(plan: LightPlan, tensors: Mapping[str, Array], *, with_winograd: bool) -> bytes:
    """Make the encoder.

    Args:
        plan: the net's sizes.
        tensors: a pack's `weights.safetensors`.
        with_winograd: write large 3x3 convolutions as `winograd` has them: faster in a browser,
            elsewhere only larger in memory.

    Raises:
        PackError: the tensors are not those of such a net.
    """
    graph = Graph("encoder", {"image": ((1, 3, "H", "W"), FLOAT), "tier": ((1,), INT32)})
    net = _Net(graph, plan, Stored(tensors, "net.encoder."), with_winograd)
    c4, c8, c16 = plan.encoder_channels
    n4, n8, n16 = plan.encoder_blocks
    x = net.stem("image", c4)  # (1, c4, H / 4, W / 4)
    x = net.plain(net.film(x, "s4", c4), "s4", n4, c4)
    x = net.plain(net.film(net.conv(x, "down8", c4, c8, stride=2), "s8", c8), "s8", n8, c8)
    x = net.neck(net.film(net.conv(x, "down16", c8, c16, stride=2), "s16", c16), "s16", n16, c16)
    x = net.conv(graph.silu(x), "out", c16, plan.latent_dim, 1)
    net.stored.check_all_taken()
    length = graph.node("Max", graph.node("ReduceL2", x, axes=[1], keepdims=1), graph.floats(1e-12))
    latent = graph.node(
        "Mul", graph.node("Div", x, length), graph.floats(math.sqrt(plan.latent_dim))
    )
    return graph.to_bytes({"latent": (latent, (1, plan.latent_dim, "h", "w"), FLOAT)})


def decoder(plan: LightPlan, tensors: Mapping[str, Array], *, with_winograd: bool) -> bytes:
    """Make the decoder; arguments and errors as of `encoder`."""
    graph = Graph(
        "decoder", {"latent": ((1, plan.latent_dim, "h", "w"), FLOAT), "tier": ((1,), INT32)}
    )
    net = _Net(graph, plan, Stored(tensors, "net.decoder."), with_winograd)
    c2, c4, c8, c16 = plan.decoder_channels
    n2, n4, n8, n16 = plan.decoder_blocks
    x = net.conv("latent", "stem", plan.latent_dim, c16)  # (1, c16, h, w)
    x = net.neck(net.film(x, "s16", c16), "s16", n16, c16)
    x = net.plain(net.film(net.up(x, "up8", c16, c8), "s8", c8), "s8", n8, c8)
    x = net.plain(net.film(net.up(x, "up4", c8, c4), "s4", c4), "s4", n4, c4)
    x = net.plain(net.film(net.up(x, "up2", c4, c2), "s2", c2), "s2", n2, c2)
    image = net.up(graph.silu(x), "out", c2, 3, kernel=3)
    net.stored.check_all_taken()
    return graph.to_bytes({"image": (image, (1, 3, "H", "W"), FLOAT)})


def check_keys(tensors: Mapping[str, Array]) -> None:
    """PackError where a tensor is of neither half; what is in them is checked as they are made."""
    for key in sorted(tensors):
        if key.startswith("net.") and not key.startswith(("net.encoder.", "net.decoder.")):
            raise PackError(f"weights: {key} is unknown to this network.", field=key)


class _Net:
    """Layers of the light net, by the keys of their weights.

    Args:
        graph: gets the nodes; its input `tier` chooses the FiLM rows.
        plan: the net's sizes.
        stored: weights of one half.
        with_winograd: as of `encoder`.
    """

    def __init__(self, graph: Graph, plan: LightPlan, stored: Stored, with_winograd: bool) -> None:
        self.graph, self.plan, self.stored = graph, plan, stored
        self._with_winograd = with_winograd
        self._row = graph.node("Sub", "tier", graph.constant(np.array([1], np.int32)))

    def conv(
        self, x: Value, key: str, n_in: int, n_out: int, kernel: int = 3, stride: int = 1
    ) -> Value:
        """A convolution that keeps height and width at stride 1 (zero padding)."""
        shape = (n_out, n_in, kernel, kernel)
        weight = self.stored.take(self.graph, f"{key}.weight", shape)
        return self._convolved(x, weight, self._bias(key, n_out), shape, stride)

    def stem(self, image: Value, n_out: int) -> Value:
        """Pixels of 4x4 squares as channels, and a convolution."""
        n_in, size = 3 * _FINEST**2, (n_out, 3 * _FINEST**2, 3, 3)
        weight = self.stored.take(self.graph, "stem.weight", size)
        # torch numbers a square's pixels within each colour, ONNX the colours within each pixel.
        apart = self.graph.node("Reshape", weight, self.graph.integers(n_out, 3, _FINEST**2, 3, 3))
        turned = self.graph.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
        weight = self.graph.node("Reshape", turned, self.graph.integers(n_out, n_in, 3, 3))
        squares = self.graph.node("SpaceToDepth", image, blocksize=_FINEST)
        return self._convolved(squares, weight, self._bias("stem", n_out), size, 1)

    def up(self, x: Value, key: str, n_in: int, n_out: int, kernel: int = 1) -> Value:
        """A convolution to four times the channels, which become 2x2 squares."""
        more = self.conv(x, key, n_in, 4 * n_out, kernel)
        return str(self.graph.node("DepthToSpace", more, blocksize=2, mode="CRD"))

    def film(self, x: Value, stage: str, channels: int) -> Value:
        """A scale and a shift per channel, by tier."""
        shape = (self.plan.n_tiers, channels)
        scale = self.stored.take(self.graph, f"{stage}.film.scale", shape)
        shift = self.stored.take(self.graph, f"{stage}.film.shift", shape)
        scale = self.graph.node("Add", scale, self.graph.floats(1))
        scaled = self.graph.node("Mul", x, self._tiers_row(scale))
        return str(self.graph.node("Add", scaled, self._tiers_row(shift)))

    def plain(self, x: Value, stage: str, n_blocks: int, channels: int) -> Value:
        """Residual blocks of two 3x3 convolutions."""
        for number in range(n_blocks):
            key = f"{stage}.blocks.{number}"
            y = self.conv(self.graph.silu(x), f"{key}.a", channels, channels)
            y = self.conv(self.graph.silu(y), f"{key}.b", channels, channels)
            x = self.graph.node("Add", x, y)
        return x

    def neck(self, x: Value, stage: str, n_blocks: int, channels: int) -> Value:
        """Residual bottlenecks: 1x1 to half of the channels, 3x3, 1x1 back."""
        middle = max(1, channels // 2)
        for number in range(n_blocks):
            key = f"{stage}.blocks.{number}"
            y = self.conv(self.graph.silu(x), f"{key}.a", channels, middle, 1)
            y = self.conv(self.graph.silu(y), f"{key}.b", middle, middle)
            y = self.conv(self.graph.silu(y), f"{key}.c", middle, channels, 1)
            x = self.graph.node("Add", x, y)
        return x

    def _bias(self, key: str, n_out: int) -> Value:
        return self.stored.take(self.graph, f"{key}.bias", (n_out,))

    def _tiers_row(self, table: Value) -> Value:
        """(n_tiers, C) to the tier's (1, C, 1, 1)."""
        row = self.graph.node("Gather", table, self._row)
        return str(self.graph.node("Unsqueeze", row, self.graph.integers(2, 3)))

    def _convolved(
        self, x: Value, weight: Value, bias: Value, shape: tuple[int, ...], stride: int
    ) -> Value:
        return convolve(
            self.graph,
            x,
            weight,
            bias,
            shape,
            stride=stride,
            with_winograd=self._with_winograd,
        )
