"""The restorer as a graph: `nets/restorer.py` in ONNX.

| input | type | what |
|---|---|---|
| `indices` | int32 (h, w) | an index map, -1 where the index was lost; h and w may be any |
| `codewords` | float32 (K, E) | the tier's codebook |
| `tier` | int32 (1,) | of the indices |
| `places` | int32 (n,) | which places to answer for: row * w + column |

| output | type | what |
|---|---|---|
| `found` | int32 (n,) | the likeliest index |
| `latents` | float32 (n, E) | what to paint from, where a codeword would stand |
| `entropy` | float32 (n,) | what the network does not know of the index, in bits |

A caller gives only lost places and leaves the others as they are, so that received indices never
change. An answer takes K floats, so places are asked for in parts of `places_at_once`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from vqcodec.onnx.graph import FLOAT, INT32, Graph, Value
from vqcodec.onnx.stored import Array, Stored
from vqcodec.onnx.windows import PLACES, Frame
from vqcodec.packs.networks import (
    EXPANSION,
    HEAD,
    STEM,
    WINDOW,
    RestorerPlan,
    distances,
)

_EPSILON: Final = 1e-5  # of torch's LayerNorm
_LOGITS_AT_ONCE: Final = 1 << 24


def places_at_once(codebook_size: int) -> int:
    """How many places a run is asked for at most, so that it takes some hundred megabytes."""
    return max(1, _LOGITS_AT_ONCE // codebook_size)


def restorer(
    plan: RestorerPlan, sizes: Mapping[int, int], dim: int, tensors: Mapping[str, Array]
) -> bytes:
    """Make the graph.

    Args:
        plan: the net's sizes.
        sizes: K by tier, of the tiers that the pack has.
        dim: E, of a codeword.
        tensors: a pack's `restorer.safetensors`.

    Raises:
        PackError: the tensors are not those of such a net.
    """
    graph = Graph(
        "restorer",
        {
            "indices": (("h", "w"), INT32),
            "codewords": (("K", dim), FLOAT),
            "tier": ((1,), INT32),
            "places": (("n",), INT32),
        },
    )
    net = _Restorer(graph, plan, sizes, dim, Stored(tensors, ""))
    x = net.stem()  # (1, h, w, width)
    for number in range(plan.blocks):
        x = net.block(x, number)
    found, latents, entropy = net.answers(x)
    net.stored.check_all_taken()
    return graph.to_bytes(
        {
            "found": (found, ("n",), INT32),
            "latents": (latents, ("n", dim), FLOAT),
            "entropy": (entropy, ("n",), FLOAT),
        }
    )


class _Restorer:
    """Layers of the restorer, by the keys of their weights.

    Args:
        graph: gets the nodes.
        plan: the net's sizes.
        sizes: K by tier.
        dim: E.
        stored: its weights.
    """

    def __init__(
        self, graph: Graph, plan: RestorerPlan, sizes: Mapping[int, int], dim: int, stored: Stored
    ) -> None:
        self.graph, self.plan, self.tiers, self.dim = graph, plan, sizes, dim
        self.stored = stored
        self._row = graph.node("Sub", "tier", graph.constant(np.array([1], np.int32)))
        size = graph.node("Shape", "indices")
        self._frames = [Frame(graph, size, shift) for shift in (0, WINDOW // 2)]

    def stem(self) -> Value:
        """What is known of the map, as features (1, h, w, width)."""
        graph, width = self.graph, self.plan.width
        zero = graph.constant(np.array(0, np.int32))
        received = graph.node("GreaterOrEqual", "indices", zero)
        known = graph.node("Unsqueeze", graph.node("Cast", received, to=FLOAT), graph.integers(2))
        words = graph.node("Gather", "codewords", graph.node("Max", "indices", zero))
        seen = graph.node(  # (h, w, E + 2): of the map is every place
            "Concat",
            graph.node("Mul", words, known),
            known,
            graph.node("Add", graph.node("Mul", known, graph.floats(0)), graph.floats(1)),
            axis=2,
        )
        planes = graph.node(
            "Unsqueeze", graph.node("Transpose", seen, perm=[2, 0, 1]), graph.integers(0)
        )
        x = graph.node(
            "Conv",
            planes,
            self._take("stem.weight", width, self.dim + 2, STEM, STEM),
            self._take("stem.bias", width),
            kernel_shape=[STEM, STEM],
            pads=[STEM // 2] * 4,
        )
        return str(graph.node("Add", graph.node("Transpose", x, perm=[0, 2, 3, 1]), self._tier()))

    def block(self, x: Value, number: int) -> Value:
        """Depthwise convolution, window attention, two dense layers; each added to its input."""
        graph, width, key = self.graph, self.plan.width, f"blocks.{number}"
        near = graph.node(
            "Conv",
            graph.node("Transpose", self._norm(x, f"{key}.norms.0"), perm=[0, 3, 1, 2]),
            self._take(f"{key}.near.weight", width, 1, 5, 5),
            self._take(f"{key}.near.bias", width),
            kernel_shape=[5, 5],
            pads=[2] * 4,
            group=width,
        )
        x = graph.node("Add", x, graph.node("Transpose", near, perm=[0, 2, 3, 1]))
        y = self._attention(
            self._norm(x, f"{key}.norms.1"), f"{key}.attention", self._frames[number % 2]
        )
        x = graph.node("Add", x, y)
        y = self._dense(self._norm(x, f"{key}.norms.2"), f"{key}.rise", width, EXPANSION * width)
        y = self._dense(self._gelu(y), f"{key}.fall", EXPANSION * width, width)
        return str(graph.node("Add", x, y))

    def answers(self, x: Value) -> tuple[Value, Value, Value]:
        """Features (1, h, w, width) to found, latents and entropy of the places."""
        graph, width, n_learned = self.graph, self.plan.width, self.plan.learned
        flat = graph.node("Reshape", self._norm(x, "norm"), graph.integers(-1, width))
        features = graph.node("Gather", flat, "places")  # (n, width)
        learned, bias = self._of_tier()
        keys = graph.node("Concat", "codewords", learned, axis=1)  # (K, E + learned)
        query = self._dense(features, "query", width, self.dim + n_learned)
        logits = graph.node(
            "Add",
            graph.node("MatMul", query, graph.node("Transpose", keys, perm=[1, 0])),
            bias,
        )
        found = graph.node("ArgMax", logits, axis=1, keepdims=0)
        nats = graph.node("LogSoftmax", logits, axis=1)
        chances = graph.node("Exp", nats)
        expected = graph.node("MatMul", chances, "codewords")
        latents = graph.node("Add", expected, self._dense(features, "paint", width, self.dim))
        summed = graph.node(
            "ReduceSum", graph.node("Mul", chances, nats), graph.integers(1), keepdims=0
        )
        entropy = graph.node("Mul", summed, graph.floats(-1 / math.log(2)))
        return graph.node("Cast", found, to=INT32), latents, entropy

    def _attention(self, x: Value, key: str, frame: Frame) -> Value:
        """Attention within windows; (1, h, w, width) to the same."""
        graph, width = self.graph, self.plan.width
        n_heads = width // HEAD
        qkv = self._dense(frame.cut(x, width), f"{key}.qkv", width, 3 * width)
        split = graph.node("Split", qkv, n_outputs=3, axis=2)
        heads = graph.integers(0, PLACES, n_heads, HEAD)
        q, k, v = (graph.node("Reshape", part, heads) for part in split)
        q = graph.node("Transpose", q, perm=[0, 2, 1, 3])
        k = graph.node("Transpose", k, perm=[0, 2, 3, 1])
        v = graph.node("Transpose", v, perm=[0, 2, 1, 3])
        table = self._take(f"{key}.bias", n_heads, (2 * WINDOW - 1) ** 2)
        bias = graph.node("Gather", table, graph.constant(distances()), axis=1)  # (heads, 64, 64)
        scores = graph.node(
            "MatMul", graph.node("Mul", q, graph.floats(HEAD**-0.5)), k
        )  # (n, heads, 64, 64)
        scores = graph.node("Add", graph.node("Add", scores, bias), frame.mask)
        seen = graph.node("MatMul", graph.node("Softmax", scores, axis=3), v)
        joined = graph.node(
            "Reshape",
            graph.node("Transpose", seen, perm=[0, 2, 1, 3]),
            graph.integers(0, PLACES, width),
        )
        return frame.join(self._dense(joined, f"{key}.out", width, width))

    def _dense(self, x: Value, key: str, n_in: int, n_out: int) -> Value:
        weight = self.graph.node("Transpose", self._take(f"{key}.weight", n_out, n_in), perm=[1, 0])
        product = self.graph.node("MatMul", x, weight)
        return str(self.graph.node("Add", product, self._take(f"{key}.bias", n_out)))

    def _norm(self, x: Value, key: str) -> Value:
        scale = self._take(f"{key}.weight", self.plan.width)
        shift = self._take(f"{key}.bias", self.plan.width)
        return str(
            self.graph.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=_EPSILON)
        )

    def _gelu(self, x: Value) -> Value:
        graph = self.graph
        erf = graph.node("Erf", graph.node("Div", x, graph.floats(math.sqrt(2))))
        twice = graph.node("Mul", x, graph.node("Add", erf, graph.floats(1)))
        return str(graph.node("Mul", twice, graph.floats(0.5)))

    def _tier(self) -> Value:
        """The tier's vector, (1, width)."""
        graph, width = self.graph, self.plan.width
        rows = [
            graph.node(
                "Reshape",
                self._take(f"tier.{tier}", width)
                if tier in self.tiers
                else graph.constant(np.zeros(width, np.float32)),
                graph.integers(1, width),
            )
            for tier in range(1, max(self.tiers) + 1)
        ]
        return str(graph.node("Gather", graph.node("Concat", *rows, axis=0), self._row))

    def _of_tier(self) -> tuple[Value, Value]:
        """The tier's learned columns (K, learned) and biases (K,), out of all tiers'."""
        graph = self.graph
        starts, stops, total = [0] * max(self.tiers), [0] * max(self.tiers), 0
        learned, bias = [], []
        for tier, size in sorted(self.tiers.items()):
            learned.append(self._take(f"learned.{tier}", size, self.plan.learned))
            bias.append(self._take(f"bias.{tier}", size))
            starts[tier - 1], stops[tier - 1] = total, total + size
            total += size
        start, stop = (
            graph.node("Gather", graph.integers(*ends), self._row) for ends in (starts, stops)
        )
        return (
            graph.node("Slice", graph.node("Concat", *learned, axis=0), start, stop),
            graph.node("Slice", graph.node("Concat", *bias, axis=0), start, stop),
        )

    def _take(self, key: str, *shape: int) -> Value:
        return self.stored.take(self.graph, key, shape)
