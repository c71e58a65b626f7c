"""Layers of taming's network that look at a whole map: group normalisation, attention."""

from __future__ import annotations

from typing import Final

from onnx import helper

from vqcodec.onnx.graph import FLOAT, Graph, Value
from vqcodec.packs.networks import TamingPlan

_EPS: Final = 1e-6
_PAIRS: Final = 1 << 24  # of places that look at each other, held at once: 64 MiB


def normalise(graph: Graph, x: Value, weight: Value, bias: Value, channels: int) -> Value:
    """Normalise groups of channels over the whole map (1, C, h, w).

    Args:
        graph: gets the nodes.
        x: what is normalised.
        weight: (C,).
        bias: (C,).
        channels: C.
    """
    # Sums of sums of rows: one over millions of values, as InstanceNormalization has it, rounds
    # far more coarsely.
    groups, each = TamingPlan.GROUPS, channels // TamingPlan.GROUPS
    rows = graph.node("Reshape", x, _joined(graph, (1, groups, -1), graph.sizes(x, 3, 4)))
    mean = _mean(graph, rows, "ReduceMean")  # (1, 32, 1, 1)
    apart = graph.node("Sub", rows, mean)
    width = graph.node("Cast", graph.sizes(x, 3, 4), to=FLOAT)
    variance = graph.node("Div", _mean(graph, apart, "ReduceSumSquare"), width)
    spread = graph.node("Sqrt", graph.node("Add", variance, graph.floats(_EPS)))
    by_group = graph.node("Reshape", weight, graph.integers(1, groups, each, 1))
    scale = graph.node(  # (1, C, 1, 1)
        "Reshape", graph.node("Div", by_group, spread), graph.integers(1, channels, 1, 1)
    )
    back = graph.node("Reshape", apart, graph.node("Shape", x))
    offset = graph.node("Reshape", bias, graph.integers(1, channels, 1, 1))
    return str(graph.node("Add", graph.node("Mul", back, scale), offset))


def attend(graph: Graph, q: Value, k: Value, v: Value, channels: int) -> Value:
    """Attention of one head over all places of a map; q, k, v and the result are (1, C, h, w).

    Places ask in runs, one after the other, so that memory stays bounded on large maps.

    Args:
        graph: gets the nodes.
        q: what places ask.
        k: what they answer to.
        v: what they answer.
        channels: C.
    """
    shape, one = graph.node("Shape", q), graph.integers(1)
    flat = graph.integers(channels, -1)
    keys = graph.node("Reshape", k, flat)  # (C, n)
    values = graph.node("Transpose", graph.node("Reshape", v, flat), perm=[1, 0])  # (n, C)
    scaled = graph.node("Mul", graph.node("Reshape", q, flat), graph.floats(channels**-0.5))
    asking = graph.node("Transpose", scaled, perm=[1, 0])  # (n, C)
    # ceil(n * n / _PAIRS) runs of ceil(n / runs) places each; zeros fill the last.
    n = graph.sizes(asking, 0, 1)
    runs = _divided(graph, graph.node("Mul", n, n), graph.integers(_PAIRS))
    length = _divided(graph, n, runs)
    more = graph.node("Sub", graph.node("Mul", runs, length), n)
    zero = graph.integers(0)
    pads = graph.node("Concat", zero, zero, more, zero, axis=0)
    cut = graph.node("Concat", runs, length, graph.integers(channels), axis=0)
    apart = graph.node("Reshape", graph.node("Pad", asking, pads), cut)
    found = graph.node("Scan", apart, num_scan_inputs=1, body=_run(keys, values, channels))
    joined = graph.node("Reshape", found, graph.integers(-1, channels))
    kept = graph.node("Slice", joined, zero, n, zero, one)
    return str(graph.node("Reshape", graph.node("Transpose", kept, perm=[1, 0]), shape))


def _run(keys: Value, values: Value, channels: int) -> object:
    """The graph of one run: (places, C) asked to (places, C) answered."""
    asked, scores, shares, answered = (f"{keys}_{name}" for name in ("q", "qk", "softmax", "run"))
    return helper.make_graph(
        [
            helper.make_node("MatMul", [asked, keys], [scores]),
            helper.make_node("Softmax", [scores], [shares], axis=-1),
            helper.make_node("MatMul", [shares, values], [answered]),
        ],
        "run",
        [helper.make_tensor_value_info(asked, FLOAT, ["places", channels])],
        [helper.make_tensor_value_info(answered, FLOAT, ["places", channels])],
    )


def _mean(graph: Graph, rows: Value, kind: str) -> Value:
    """(1, groups, rows, w) to (1, groups, 1, 1): each row reduced by `kind`, and their mean."""
    reduced = graph.node(kind, rows, axes=[3], keepdims=1)
    return str(graph.node("ReduceMean", reduced, axes=[2], keepdims=1))


def _joined(graph: Graph, first: tuple[int, ...], last: Value) -> Value:
    return str(graph.node("Concat", graph.integers(*first), last, axis=0))


def _divided(graph: Graph, value: Value, by: Value) -> Value:
    """Quotient of positive integers, rounded up."""
    less = graph.node("Sub", graph.node("Add", value, by), graph.integers(1))
    return str(graph.node("Div", less, by))
