"""A graph of ONNX nodes, built line by line: every method adds a node and returns what it makes.

Weights stay as a pack stores them, kernels as int8 or as codes; what turns them into floats are
nodes with constant inputs, which onnxruntime computes once when a session is made. The same pack
always gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from vqcodec.errors import BackendError

OPSET: Final = 17  # the lowest with LayerNormalization
IR_VERSION: Final = 8  # that belongs to it
MAX_BYTES: Final = 2**31 - 2**24  # protobuf ends at 2**31; nodes need a part of that
FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64

Value = str  # an edge of the graph, by its name


class Graph:
    """Nodes in the order in which they were added.

    Args:
        name: of the graph.
        inputs: shape and element type by name; names in a shape stand for any size.
    """

    def __init__(self, name: str, inputs: Mapping[str, tuple[Sequence[int | str], int]]) -> None:
        self._name = name
        self._inputs = [
            helper.make_tensor_value_info(key, kind, list(shape))
            for key, (shape, kind) in inputs.items()
        ]
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[bytes, Value] = {}  # by digest: weights may be large
        self._n_bytes = 0
        self._initializers: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: Value, n_outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; returns its output's name, or a list of them for several."""
        names = [f"v{len(self._nodes)}_{number}" for number in range(n_outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if n_outputs == 1 else names

    def constant(self, array: NDArray[Any]) -> Value:
        """Add an array; one that is there already is not added again.

        Raises:
            BackendError: a file cannot hold as many bytes.
        """
        if self._n_bytes + array.nbytes > MAX_BYTES:
            raise BackendError(
                f"the network's {self._name} has more than {MAX_BYTES:,} bytes of weights, which "
                "ONNX cannot hold. Use --backend torch."
            )
        tensor = numpy_helper.from_array(np.ascontiguousarray(array))
        key = hashlib.sha256(tensor.SerializeToString(deterministic=True)).digest()
        if key not in self._constants:
            self._n_bytes += array.nbytes
            tensor.name = self._constants[key] = f"c{len(self._constants)}"
            self._initializers.append(tensor)
        return self._constants[key]

    def integers(self, *values: int) -> Value:
        """Add a vector of int64, as shapes and axes are."""
        return self.constant(np.array(values, np.int64))

    def floats(self, value: float) -> Value:
        """Add a float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def floating(self, array: NDArray[Any]) -> Value:
        """Add an array that becomes float32 when a session is made."""
        value = self.constant(array)
        return value if array.dtype == np.float32 else self.node("Cast", value, to=FLOAT)

    def silu(self, x: Value) -> Value:
        """X * sigmoid(x)."""
        return str(self.node("Mul", x, self.node("Sigmoid", x)))

    def sizes(self, x: Value, first: int, last: int) -> Value:
        """Sizes of x along the axes from `first` to before `last`, int64."""
        shape = self.node("Shape", x)
        return str(self.node("Slice", shape, self.integers(first), self.integers(last)))

    def to_bytes(self, outputs: Mapping[str, tuple[Value, Sequence[int | str], int]]) -> bytes:
        """Finish the graph.

        Args:
            outputs: value, shape and element type by the name that the output gets.

        Returns:
            The model as an `.onnx` file has it.
        """
        infos = []
        for key, (value, shape, kind) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [key]))
            infos.append(helper.make_tensor_value_info(key, kind, list(shape)))
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, infos, initializer=self._initializers
        )
        model = helper.make_model(
            graph,
            producer_name="vqcodec",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        return bytes(model.SerializeToString(deterministic=True))
