"""3x3 convolutions at stride 1 by Winograd's F(4x4, 3x3), out of standard ONNX operators.

The map is cut into 6x6 patches that overlap by two; each patch, transformed, needs 36
multiplications per pair of channels where sixteen outputs took 144. onnxruntime has no Winograd of
its own, and in a browser no fused multiply-add either, so that this is what makes a decoder fast
there. The kernels' transform has constant inputs: the file holds int8, the session 36 floats.

Source: Lavin and Gray, arXiv 1509.09308; points 0, 1, -1, 2, -2 and infinity.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vqcodec.onnx.graph import Graph, Value

SMALLEST: Final = 64  # channels; with 32, where maps are largest, only memory is lost
_STEP: Final = 4  # outputs along a patch's side
_PATCH: Final = 6
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float64,
)
_KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    np.float64,
)
_OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    np.float64,
)


def fits(shape: tuple[int, ...], stride: int) -> bool:
    """Whether a kernel (O, I, height, width) is worth it."""
    return shape[2:] == (3, 3) and stride == 1 and min(shape[:2]) >= SMALLEST


def convolve(graph: Graph, x: Value, kernel: Value, bias: Value, shape: tuple[int, ...]) -> Value:
    """Convolve (1, I, h, w) with zeros around it, to (1, O, h, w).

    Args:
        graph: gets the nodes.
        x: what is convolved; h and w may be any.
        kernel: (O, I, 3, 3) float32.
        bias: (O,) float32.
        shape: of the kernel.
    """
    n_out, n_in = shape[:2]
    places = _PATCH * _PATCH
    patches = graph.node(  # (1, I * 36, rows, columns): each channel's patches, transformed
        "Conv",
        x,
        _each(graph, np.kron(_INPUT, _INPUT).reshape(places, 1, _PATCH, _PATCH), n_in),
        group=n_in,
        strides=[_STEP, _STEP],
        # One row of zeros above as in the plain convolution; below so many that the last patch,
        # however little of it lies in the map, is whole.
        pads=[1, 1, _STEP, _STEP],
        kernel_shape=[_PATCH, _PATCH],
    )
    flat = graph.node("Reshape", patches, graph.integers(n_in, places, -1))
    products = graph.node(  # (36, O, rows * columns)
        "MatMul",
        _transformed(graph, kernel, n_out, n_in),
        graph.node("Transpose", flat, perm=[1, 0, 2]),
    )
    back = graph.node(
        "Reshape",
        graph.node("Transpose", products, perm=[1, 0, 2]),
        graph.node("Concat", graph.integers(1, n_out * places), graph.sizes(patches, 2, 4), axis=0),
    )
    sixteen = graph.node(
        "Conv",
        back,
        _each(graph, np.kron(_OUTPUT, _OUTPUT).reshape(_STEP * _STEP, places, 1, 1), n_out),
        graph.node(
            "Reshape",
            graph.node(
                "Expand",
                graph.node("Reshape", bias, graph.integers(n_out, 1)),
                graph.integers(n_out, _STEP * _STEP),
            ),
            graph.integers(-1),
        ),
        group=n_out,
        kernel_shape=[1, 1],
    )
    whole = graph.node("DepthToSpace", sixteen, blocksize=_STEP, mode="CRD")
    return str(
        graph.node("Slice", whole, graph.integers(0, 0), graph.sizes(x, 2, 4), graph.integers(2, 3))
    )


def _each(graph: Graph, kernels: NDArray[np.floating], times: int) -> Value:
    """The same kernels for each of so many channels, float32; repeated when a session is made."""
    once = graph.constant(kernels.astype(np.float32))
    return str(graph.node("Tile", once, graph.integers(times, 1, 1, 1)))


def _transformed(graph: Graph, kernel: Value, n_out: int, n_in: int) -> Value:
    """(O, I, 3, 3) to (36, O, I); computed once, when the session is made."""
    rows = graph.node("Reshape", kernel, graph.integers(n_out * n_in, 9))
    # Turned before the product, which has four times as many values to turn.
    turned = graph.node("Transpose", rows, perm=[1, 0])
    both = graph.constant(np.kron(_KERNEL, _KERNEL).astype(np.float32))  # (36, 9)
    there = graph.node("MatMul", both, turned)
    return str(graph.node("Reshape", there, graph.integers(_PATCH * _PATCH, n_out, n_in)))
