"""Sessions of onnxruntime, and what the machine says when it does not suffice."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from vqcodec.errors import BackendError

_FATAL_ONLY = 4  # on stderr: what fails is raised as well


def check_device(name: str) -> None:
    """BackendError unless the graphs run on this device: "auto" and "cpu" are the CPU."""
    if name in ("auto", "cpu"):
        return
    if re.fullmatch(r"cuda(:\d+)?", name):
        raise BackendError(
            f"device {name!r}: the backend onnx runs on the CPU. Use --device cpu, or --backend "
            "torch."
        )
    raise BackendError(f"device {name!r} is not known. Use auto, cpu or cuda[:N].")


class Session:
    """A graph, ready to run on the CPU.

    Args:
        model: as an `.onnx` file has it.
        threads: of the CPU; None takes all that this process may use.

    Raises:
        BackendError: out of memory.
    """

    def __init__(self, model: bytes, threads: int | None) -> None:
        options = onnxruntime.SessionOptions()
        # Left to itself, onnxruntime counts the machine's cores and ties threads to them.
        options.intra_op_num_threads = threads or _available_cpus()
        options.log_severity_level = _FATAL_ONLY
        with guarded():
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )

    def run(self, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the graph; its outputs in their order. BackendError when memory does not suffice."""
        with guarded():
            outputs: list[NDArray[Any]] = self._session.run(None, inputs)
        return outputs


@contextmanager
def guarded() -> Iterator[None]:
    """Turn what the machine cannot do into `BackendError`."""
    try:
        yield
    except Exception as error:  # onnxruntime's own classes have no base besides
        text = str(error).lower()
        if isinstance(error, MemoryError) or "alloc" in text or "out of memory" in text:
            raise BackendError(
                "out of memory on cpu. Close other programs, or use a smaller image."
            ) from error
        raise


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
