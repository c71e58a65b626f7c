"""taming's network as graphs: `nets/taming.py` in ONNX.

| graph | inputs | output |
|---|---|---|
| encoder | `image` float32 (1, 3, H, W) in [-1, 1], H and W multiples of the stride; `tier` int32 (1,) | `latent` float32 (1, D, H / stride, W / stride); of a GumbelVQ, one of its words |
| decoder | `latent` float32 (1, D, h, w), codewords as they stand in the pack; `tier` int32 (1,) | `image` float32 (1, 3, h * stride, w * stride), about [-1, 1], not clamped |

It normalises over all of what it is shown: parts of a picture, shown by themselves, do not fit
together. `tier` counts only where the pack has 1x1 convolutions by tier.
"""  # noqa: E501  (a table)

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from vqcodec.errors import PackError
from vqcodec.onnx.convolution import convolve
from vqcodec.onnx.graph import FLOAT, INT32, Graph, Value
from vqcodec.onnx.stored import Array, Stored
from vqcodec.onnx.whole import attend, normalise
from vqcodec.packs.networks import TamingPlan

_ENCODER: Final = ("net.encoder.", "net.quant_conv.", "net.gumbel.")
_DECODER: Final = ("net.decoder.", "net.post_quant_conv.")


def encoder(plan: TamingPlan, tensors: Mapping[str, Array], *, with_winograd: bool) -> bytes:
    """Make the encoder.

    Args:
        plan: the network's sizes.
        tensors: a pack's `weights.safetensors`.
        with_winograd: write large 3x3 convolutions as `winograd` has them.

    Raises:
        PackError: the tensors are not those of such a network.
        BackendError: they are more than an ONNX file holds.
    """
    graph = Graph("encoder", {"image": ((1, 3, "H", "W"), FLOAT), "tier": ((1,), INT32)})
    net = _Net(graph, plan, _half(tensors, _ENCODER), with_winograd)
    side, channels = plan.resolution, plan.ch
    x = net.conv("image", "encoder.conv_in", 3, channels)
    for level, times in enumerate(plan.ch_mult):
        key = f"encoder.down.{level}"
        x = net.level(x, key, plan.num_res_blocks, (channels, plan.ch * times), side)
        channels = plan.ch * times
        if level + 1 < len(plan.ch_mult):
            x, side = net.down(x, f"{key}.downsample.conv", channels), side // 2
    x = net.middle(x, "encoder.mid", channels)
    x = net.active(x, "encoder.norm_out", channels)
    x = net.conv(x, "encoder.conv_out", channels, plan.z_channels)
    x = net.pointwise(x, "quant_conv", plan.z_channels, plan.embed_dim)
    if plan.gumbel_words:
        x = net.likeliest(x)
    net.stored.check_all_taken()
    return graph.to_bytes({"latent": (x, (1, plan.embed_dim, "h", "w"), FLOAT)})


def decoder(plan: TamingPlan, tensors: Mapping[str, Array], *, with_winograd: bool) -> bytes:
    """Make the decoder; arguments and errors as of `encoder`."""
    inputs = {"latent": ((1, plan.embed_dim, "h", "w"), FLOAT), "tier": ((1,), INT32)}
    graph = Graph("decoder", inputs)
    net = _Net(graph, plan, _half(tensors, _DECODER), with_winograd)
    side, channels = plan.resolution // plan.stride, plan.ch * plan.ch_mult[-1]
    x = net.pointwise("latent", "post_quant_conv", plan.embed_dim, plan.z_channels)
    x = net.conv(x, "decoder.conv_in", plan.z_channels, channels)
    x = net.middle(x, "decoder.mid", channels)
    for level, times in reversed(list(enumerate(plan.ch_mult))):
        key = f"decoder.up.{level}"
        x = net.level(x, key, plan.num_res_blocks + 1, (channels, plan.ch * times), side)
        channels = plan.ch * times
        if level:
            x, side = net.up(x, f"{key}.upsample.conv", channels), side * 2
    x = net.active(x, "decoder.norm_out", channels)
    image = net.conv(x, "decoder.conv_out", channels, 3)
    net.stored.check_all_taken()
    return graph.to_bytes({"image": (image, (1, 3, "H", "W"), FLOAT)})


def check_keys(tensors: Mapping[str, Array]) -> None:
    """PackError where a tensor is of neither half; what is in them is checked as they are made."""
    for key in sorted(tensors):
        if key.startswith("net.") and not key.startswith(_ENCODER + _DECODER):
            raise PackError(f"weights: {key} is unknown to this network.", field=key)


def _half(tensors: Mapping[str, Array], prefixes: tuple[str, ...]) -> Stored:
    return Stored({key: array for key, array in tensors.items() if key.startswith(prefixes)})


class _Net:
    """taming's layers, by the keys of their weights.

    Args:
        graph: gets the nodes; its input `tier` chooses 1x1 convolutions that are one per tier.
        plan: the network's sizes.
        stored: weights of one half.
        with_winograd: as of `encoder`.
    """

    def __init__(self, graph: Graph, plan: TamingPlan, stored: Stored, with_winograd: bool) -> None:
        self.graph, self.plan, self.stored = graph, plan, stored
        self._with_winograd = with_winograd

    def conv(self, x: Value, key: str, n_in: int, n_out: int, kernel: int = 3) -> Value:
        """A convolution that keeps height and width."""
        shape = (n_out, n_in, kernel, kernel)
        return convolve(
            self.graph, x, *self._weights(key, shape), shape, with_winograd=self._with_winograd
        )

    def down(self, x: Value, key: str, channels: int) -> Value:
        """A convolution to half of height and width; zeros below and right alone."""
        shape = (channels, channels, 3, 3)
        weights = self._weights(key, shape)
        return convolve(self.graph, x, *weights, shape, stride=2, pads=(0, 0, 1, 1))

    def up(self, x: Value, key: str, channels: int) -> Value:
        """Every value four times, and a convolution."""
        larger = self.graph.node(
            "Resize",
            x,
            "",
            self.graph.constant(np.array([1, 1, 2, 2], np.float32)),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return self.conv(larger, key, channels, channels)

    def level(
        self, x: Value, key: str, n_blocks: int, channels: tuple[int, int], side: int
    ) -> Value:
        """Residual blocks, each with its attention where maps of this side have one."""
        n_in, n_out = channels
        for number in range(n_blocks):
            x = self.block(x, f"{key}.block.{number}", n_in, n_out)
            n_in = n_out
            if side in self.plan.attn_resolutions:
                x = self.attention(x, f"{key}.attn.{number}", n_out)
        return x

    def middle(self, x: Value, key: str, channels: int) -> Value:
        """Two residual blocks around an attention."""
        x = self.block(x, f"{key}.block_1", channels, channels)
        x = self.attention(x, f"{key}.attn_1", channels)
        return self.block(x, f"{key}.block_2", channels, channels)

    def block(self, x: Value, key: str, n_in: int, n_out: int) -> Value:
        """A residual block of two 3x3 convolutions."""
        y = self.conv(self.active(x, f"{key}.norm1", n_in), f"{key}.conv1", n_in, n_out)
        y = self.conv(self.active(y, f"{key}.norm2", n_out), f"{key}.conv2", n_out, n_out)
        if n_in != n_out:
            x = self.conv(x, f"{key}.nin_shortcut", n_in, n_out, 1)
        return str(self.graph.node("Add", x, y))

    def attention(self, x: Value, key: str, channels: int) -> Value:
        """All places look at all others, in one head."""
        seen = self._normed(x, f"{key}.norm", channels)
        q, k, v = (self.conv(seen, f"{key}.{name}", channels, channels, 1) for name in "qkv")
        found = attend(self.graph, q, k, v, channels)
        found = self.conv(found, f"{key}.proj_out", channels, channels, 1)
        return str(self.graph.node("Add", x, found))

    def active(self, x: Value, key: str, channels: int) -> Value:
        """What is normalised, and passed through swish."""
        return self.graph.silu(self._normed(x, key, channels))

    def pointwise(self, x: Value, key: str, n_in: int, n_out: int) -> Value:
        """A 1x1 convolution, which may be one per tier."""
        n_tiers = self.plan.n_tiers
        if not n_tiers:
            return self.conv(x, key, n_in, n_out, 1)
        weight = self.stored.take(self.graph, f"{key}.weight", (n_tiers, n_out, n_in))
        bias = self.stored.take(self.graph, f"{key}.bias", (n_tiers, n_out))
        row = self.graph.node("Sub", "tier", self.graph.constant(np.array([1], np.int32)))
        shape = (n_out, n_in, 1, 1)
        return convolve(
            self.graph,
            x,
            self._row(weight, row, shape),
            self._row(bias, row, shape[:1]),
            shape,
        )

    def likeliest(self, x: Value) -> Value:
        """The word of the largest logit, of equal ones the first: (1, D, h, w)."""
        n_words, dim = self.plan.gumbel_words, self.plan.embed_dim
        logits = self.conv(x, "gumbel.proj", dim, n_words, 1)
        words = self.stored.take(self.graph, "gumbel.embed.weight", (n_words, dim))
        found = self.graph.node("ArgMax", logits, axis=1, keepdims=0)  # (1, h, w)
        chosen = self.graph.node("Gather", words, found)
        return str(self.graph.node("Transpose", chosen, perm=[0, 3, 1, 2]))

    def _normed(self, x: Value, key: str, channels: int) -> Value:
        weight = self.stored.take(self.graph, f"{key}.weight", (channels,))
        bias = self.stored.take(self.graph, f"{key}.bias", (channels,))
        return normalise(self.graph, x, weight, bias, channels)

    def _weights(self, key: str, shape: tuple[int, ...]) -> tuple[Value, Value]:
        weight = self.stored.take(self.graph, f"{key}.weight", shape)
        return weight, self.stored.take(self.graph, f"{key}.bias", shape[:1])

    def _row(self, table: Value, row: Value, shape: tuple[int, ...]) -> Value:
        found = self.graph.node("Gather", table, row)
        return str(self.graph.node("Reshape", found, self.graph.integers(*shape)))
