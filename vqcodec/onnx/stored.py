"""What a pack stores for its networks, as nodes of a graph; every tensor checked before it is used.

The counterpart of `nets/stored.py`, `nets/kernels.py` and `nets/codes.py`: kernels in int8 per
output channel, kernels as codes into a table, everything else in float16 or float32
(docs/ARCHITECTURE.md, "Model packs").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from vqcodec.errors import PackError
from vqcodec.onnx.graph import FLOAT, INT32, Graph, Value
from vqcodec.packs.codes import MAX_DIM, MAX_WORDS
from vqcodec.packs.networks import MAX_PARAMETERS

Array = NDArray[Any]

MAX_CODEBOOK: Final = 1 << 16


def read_weights(path: Path) -> dict[str, Array]:
    """Read a pack's tensors; PackError when that cannot be done."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise PackError(f"{path}: missing. Fetch the model pack again.", path=path) from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PackError(f"{path}: not a readable safetensors file ({error}).", path=path) from error


def codewords(stored: Mapping[str, Array], tier: int, size: int, dim: int) -> NDArray[np.float32]:
    """A tier's codebook, (K_T, D) float32, checked."""
    key = f"tier.{tier}.codewords"
    if key not in stored:
        raise PackError(f"weights: {key} is missing.", field=key)
    words = stored[key]
    if not 1 <= size <= MAX_CODEBOOK or words.shape != (size, dim):
        raise PackError(
            f"weights: {key} has shape {words.shape}; wanted ({size}, {dim}).", field=key
        )
    if words.dtype.kind != "f" or not np.isfinite(words).all():
        raise PackError(f"weights: {key} must hold finite floats.", field=key)
    return words.astype(np.float32)


class Stored:
    """A network's tensors, taken one by one into a graph.

    Args:
        tensors: by key, as a pack stores them.
        prefix: of the keys that belong to this network, for messages too.
    """

    def __init__(self, tensors: Mapping[str, Array], prefix: str = "net.") -> None:
        self._prefix = prefix
        self._n_weights = 0
        cut = len(prefix)
        self._left = {key[cut:]: array for key, array in tensors.items() if key.startswith(prefix)}

    def take(self, graph: Graph, key: str, shape: tuple[int, ...]) -> Value:
        """Bring a tensor into the graph.

        Args:
            graph: gets the nodes.
            key: as the network names it.
            shape: that it has to have.

        Returns:
            Of this shape, float32.

        Raises:
            PackError: it is missing, has another shape or dtype, or a value that is not finite.
        """
        self._n_weights += math.prod(shape)  # codes of few bytes may stand for many
        if self._n_weights > MAX_PARAMETERS:
            raise PackError(f"weights: the network has more than {MAX_PARAMETERS} of them.")
        if key in self._left:
            return graph.floating(self._plain(key, shape))
        if f"{key}.q" in self._left:
            steps = self._left.pop(f"{key}.q")
            if steps.dtype != np.int8 or steps.ndim < 2:
                raise self._fault(key, ".q must be int8 with 2 or more dimensions")
            self._check_shape(key, steps, shape)
            scale = graph.floating(self._scale(key, shape))
            return str(graph.node("Mul", graph.floating(steps), scale))
        if f"{key}.codes" in self._left:
            return self._coded(graph, key, shape)
        raise self._fault(key, " is missing")

    def check_all_taken(self) -> None:
        """PackError where a tensor is left that the network does not know."""
        for key in sorted(self._left):
            raise self._fault(key, " is unknown to this network")

    def _plain(self, key: str, shape: tuple[int, ...]) -> Array:
        array = self._left.pop(key)
        if array.dtype not in (np.float16, np.float32):
            raise self._fault(key, f" is {array.dtype}; wanted float16 or float32")
        self._check_shape(key, array, shape)
        if not np.isfinite(array).all():
            raise self._fault(key, " holds values that are not finite")
        return array

    def _scale(self, key: str, shape: tuple[int, ...]) -> Array:
        """One factor per output channel, in as many dimensions as the kernel."""
        if f"{key}.scale" not in self._left:
            raise self._fault(key, f".scale is missing beside {self._prefix}{key}")
        scale = self._plain(f"{key}.scale", shape[:1])
        return scale.reshape(-1, *[1] * (len(shape) - 1))

    def _coded(self, graph: Graph, key: str, shape: tuple[int, ...]) -> Value:
        """A kernel whose rows are made of words of a table; in the file its codes stay codes."""
        codes, words = self._left.pop(f"{key}.codes"), self._table(key, "words")
        restore = self._table(key, "restore") if f"{key}.restore" in self._left else None
        size, dim = len(words), words.shape[1] if restore is None else len(restore)
        if not 2 <= size <= MAX_WORDS or size & (size - 1):
            raise self._fault(key, f".words has {size} rows; wanted a power of two to 65536")
        if not 1 <= dim <= MAX_DIM or (restore is not None and restore.shape[1] != words.shape[1]):
            raise self._fault(key, ".restore does not fit its .words")
        columns = math.prod(shape[1:])
        per_row, bits = -(-columns // dim), size.bit_length() - 1
        n_bytes = -(-shape[0] * per_row * bits // 8)
        if codes.dtype != np.uint8 or codes.shape != (n_bytes,):
            raise self._fault(key, f".codes is {codes.dtype} {codes.shape}; wanted {n_bytes} bytes")
        table = graph.floating(words)
        if restore is not None:  # (k, r) by (r, d)
            turned = graph.node("Transpose", graph.floating(restore), perm=[1, 0])
            table = graph.node("MatMul", table, turned)
        found = graph.node("Gather", table, _unpacked(graph, codes, bits, shape[0] * per_row))
        rows = graph.node("Reshape", found, graph.integers(shape[0], per_row * dim))
        whole = graph.node(
            "Slice", rows, graph.integers(0), graph.integers(columns), graph.integers(1)
        )
        scale = graph.floating(self._scale(key, shape))
        return str(graph.node("Mul", graph.node("Reshape", whole, graph.integers(*shape)), scale))

    def _table(self, key: str, name: str) -> Array:
        array = self._left.get(f"{key}.{name}")
        if array is None or array.ndim != 2:
            raise self._fault(key, f".{name} must hold floats in 2 dimensions")
        return self._plain(f"{key}.{name}", array.shape)

    def _check_shape(self, key: str, array: Array, shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise self._fault(key, f" has shape {array.shape}; wanted {shape}")

    def _fault(self, key: str, fact: str) -> PackError:
        return PackError(f"weights: {self._prefix}{key}{fact}.", field=self._prefix + key)


def _unpacked(graph: Graph, packed: Array, bits: int, n: int) -> Value:
    """Bytes to n codes (n,) int32, as `packs.codes.unpack_bits`, when a session is made."""
    if bits == 8:
        return str(graph.node("Cast", graph.constant(packed), to=INT32))
    shifts = graph.constant(np.arange(7, -1, -1, dtype=np.uint8))
    places = graph.node(
        "BitShift", graph.constant(packed.reshape(-1, 1)), shifts, direction="RIGHT"
    )
    ones = graph.node("Mod", places, graph.constant(np.array(2, np.uint8)))  # (bytes, 8)
    flat = graph.node("Reshape", graph.node("Cast", ones, to=FLOAT), graph.integers(-1))
    used = graph.node("Slice", flat, graph.integers(0), graph.integers(n * bits))
    rows = graph.node("Reshape", used, graph.integers(n, bits))
    # Exact: a code has 16 bits at most, and float32 holds 24.
    worth = graph.constant(2 ** np.arange(bits - 1, -1, -1, dtype=np.float32)[:, None])
    codes = graph.node("Reshape", graph.node("MatMul", rows, worth), graph.integers(-1))
    return str(graph.node("Cast", codes, to=INT32))
