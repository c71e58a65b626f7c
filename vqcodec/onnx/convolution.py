"""Convolutions as nodes, plain or as Winograd's."""

from __future__ import annotations

from collections.abc import Sequence

from vqcodec.onnx import winograd
from vqcodec.onnx.graph import Graph, Value


def convolve(
    graph: Graph,
    x: Value,
    kernel: Value,
    bias: Value,
    shape: tuple[int, ...],
    *,
    stride: int = 1,
    pads: Sequence[int] | None = None,
    with_winograd: bool = False,
) -> Value:
    """Convolve (1, I, h, w) with zeros around it.

    Args:
        graph: gets the nodes.
        x: what is convolved; h and w may be any.
        kernel: (O, I, height, width) float32.
        bias: (O,) float32.
        shape: of the kernel.
        stride: of the outputs.
        pads: zeros above, left, below and right; None keeps h and w at stride 1.
        with_winograd: write it as `winograd` has it where it is large and `pads` is None.
    """
    if with_winograd and pads is None and winograd.fits(shape, stride):
        return winograd.convolve(graph, x, kernel, bias, shape)
    return str(
        graph.node(
            "Conv",
            x,
            kernel,
            bias,
            kernel_shape=shape[2:],
            strides=[stride, stride],
            pads=[side // 2 for side in shape[2:]] * 2 if pads is None else pads,
        )
    )
