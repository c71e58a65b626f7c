"""What runs the networks: torch, or onnxruntime, which takes a fifth of the disk.

Both rooms, `nets/` and `onnx/`, give what stands here: `Nets` and `Restorer`. Nothing else in the
house asks which of them it is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from vqcodec.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BACKENDS: Final = ("auto", "torch", "onnx")
"""What may be asked for; "auto" takes torch where it is installed, else onnx."""

INSTALL: Final = {"torch": "pip install 'vqcodec[torch]'", "onnx": "pip install 'vqcodec[onnx]'"}
"""What brings a backend."""

PACKAGES: Final = {"torch": "torch", "onnx": "onnx", "onnxruntime": "onnx"}
"""Which extra brings a package."""

Progress = Callable[[int, int], None]  # called with (tiles done, tiles in all)


class Nets(Protocol):
    """A pack's networks and codebooks, ready to run; shapes and errors in `nets.load.Nets`."""

    stride: int

    def to_indices(
        self, pixels: NDArray[np.uint8], tier: int, progress: Progress | None = None
    ) -> NDArray[np.int32]:
        """(h * stride, w * stride, 3) to (h, w)."""

    def to_latents(
        self, pixels: NDArray[np.uint8], tier: int, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """(h * stride, w * stride, 3) to (h, w, D)."""

    def codewords(self, tier: int) -> NDArray[np.float32]:
        """(K, D)."""

    def to_pixels(
        self, indices: NDArray[np.integer], tier: int, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """(h, w) to (h * stride, w * stride, 3)."""

    def from_latents(
        self, latents: NDArray[np.float32], tier: int, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """(h, w, D) to (h * stride, w * stride, 3)."""


@dataclass(frozen=True)
class Restored:
    """An index map whose gaps are filled.

    Attributes:
        indices: (h, w) int32, the likeliest index at each erased place.
        latents: (h, w, E) float32 to paint from: at received places the index's codeword, at erased
            ones the network's.
        entropy_bits: mean entropy of the network's answers for the erased places, in bits per
            index: what it does not know of them. 0 where nothing was erased.
    """

    indices: NDArray[np.int32]
    latents: NDArray[np.float32]
    entropy_bits: float


class Restorer(Protocol):
    """A pack's restorer, ready to run; see `nets.restoring.LoadedRestorer`."""

    def restore(
        self, indices: NDArray[np.integer], tier: int, progress: Progress | None = None
    ) -> Restored:
        """(h, w), -1 where the index was lost, to what stood there; what is received stays."""


def resolve(backend: str) -> str:
    """Choose the backend: "torch" or "onnx".

    Args:
        backend: one of `BACKENDS`.

    Raises:
        ValueError: it is none of them.
        BackendError: it is not installed, or for "auto" none is.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend '{backend}' is not one of {', '.join(BACKENDS)}")
    for name in INSTALL:
        if backend in ("auto", name) and not _missing(name):
            return name
    if backend == "auto":
        raise BackendError(
            "the networks need PyTorch or onnxruntime, and neither is installed. Run "
            f"{INSTALL['torch']}, or {INSTALL['onnx']}, which is smaller."
        )
    raise BackendError(missing_package(_missing(backend)[0]))


def missing_package(name: str) -> str:
    """Say that one of `PACKAGES` is not installed, and what brings it."""
    return f"this needs {name}, which is not installed. Run {INSTALL[PACKAGES[name]]}."


def _missing(backend: str) -> list[str]:
    """List the packages of a backend that are not installed."""
    return [
        name
        for name, extra in PACKAGES.items()
        if extra == backend and importlib.util.find_spec(name) is None
    ]


def map_size(pixels: NDArray[np.uint8], stride: int) -> tuple[int, int]:
    """Rows and columns of an image's index map; ValueError when it has none."""
    height, width = pixels.shape[:2]
    if pixels.dtype != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}; wanted uint8 (H, W, 3)")
    if height < 1 or width < 1 or height % stride or width % stride:
        raise ValueError(f"{height} x {width} pixels are no multiple of {stride}")
    return height // stride, width // stride


def check_indices(indices: NDArray[np.integer], size: int) -> None:
    """ValueError unless these are (h, w) integers in [0, size), at least one."""
    if indices.ndim != 2 or not indices.size or indices.dtype.kind not in "iu":
        raise ValueError(f"indices are {indices.dtype} {indices.shape}; wanted (h, w) integers")
    if int(indices.min()) < 0 or int(indices.max()) >= size:
        raise ValueError(f"indices must lie in [0, {size})")


def check_gappy(indices: NDArray[np.integer], size: int) -> None:
    """ValueError unless these are (h, w) integers in [0, size) or -1, at least one."""
    if indices.ndim != 2 or not indices.size or indices.min() < -1:
        raise ValueError("indices must be an (h, w) array of -1 or more")
    if int(indices.max()) >= size:
        raise ValueError(f"indices must lie below {size}")


def check_latents(latents: NDArray[np.float32], dim: int) -> None:
    """ValueError unless these are (h, w, dim)."""
    if latents.ndim != 3 or latents.shape[2] != dim:
        raise ValueError(f"latents are {latents.shape}; wanted (h, w, {dim})")
