"""A restorer's windows as nodes: a map of any size cut into windows of 8x8 places, and joined."""

from __future__ import annotations

from typing import Final

from vqcodec.onnx.graph import Graph, Value
from vqcodec.packs.networks import OUTSIDE, WINDOW

PLACES: Final = WINDOW * WINDOW  # of a window


class Frame:
    """How a map is padded to whole windows that are moved up and left by `shift`.

    Args:
        graph: gets the nodes.
        sizes: h and w.
        shift: rows and columns.

    Attributes:
        mask: (n, 1, 1, 64), what is added to the attention paid to places outside the map.
    """

    def __init__(self, graph: Graph, sizes: Value, shift: int) -> None:
        self._graph = graph
        before = graph.integers(shift, shift)
        filled = graph.node("Add", sizes, before)
        side = graph.integers(WINDOW)
        after = graph.node("Mod", graph.node("Sub", side, graph.node("Mod", filled, side)), side)
        padded = graph.node("Add", filled, after)
        counts = graph.node("Div", padded, side)
        rows, columns = graph.node("Split", counts, n_outputs=2, axis=0)
        zero, rest = graph.integers(0), graph.integers(-1)
        self._pads = graph.node("Concat", zero, before, zero, zero, after, zero, axis=0)
        self._apart = graph.node("Concat", rows, side, columns, side, rest, axis=0)
        self._windows = graph.node("Concat", rows, columns, side, side, rest, axis=0)
        self._whole = graph.node("Concat", graph.integers(1), padded, rest, axis=0)
        self._start, self._stop = before, filled
        shape = graph.node("Concat", graph.integers(1), sizes, graph.integers(1), axis=0)
        inside = self.cut(graph.node("Expand", graph.floats(1), shape), 1)  # (n, 64, 1)
        outside = graph.node(
            "Mul", graph.node("Sub", graph.floats(1), inside), graph.floats(OUTSIDE)
        )
        self.mask: Value = graph.node("Reshape", outside, graph.integers(-1, 1, 1, PLACES))

    def cut(self, x: Value, channels: int) -> Value:
        """(1, h, w, C) to windows (n, 64, C)."""
        graph = self._graph
        apart = graph.node("Reshape", graph.node("Pad", x, self._pads), self._apart)
        turned = graph.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
        return str(graph.node("Reshape", turned, graph.integers(-1, PLACES, channels)))

    def join(self, x: Value) -> Value:
        """The inverse of `cut`."""
        graph = self._graph
        apart = graph.node("Reshape", x, self._windows)
        turned = graph.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
        whole = graph.node("Reshape", turned, self._whole)
        return str(graph.node("Slice", whole, self._start, self._stop, graph.integers(1, 2)))
