"""What a machine has for the networks: its devices, and what it says when they do not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vqcodec.errors import BackendError


def resolve_device(name: str) -> torch.device:
    """Find the device that "auto", "cpu" or "cuda[:N]" names; BackendError when it is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackendError(f"device {name!r} is not known. Use auto, cpu or cuda[:N].") from error
    if device.type not in ("cpu", "cuda"):
        raise BackendError(f"device {name!r} is not supported. Use auto, cpu or cuda[:N].")
    if device.type == "cuda":
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= n_devices:
            raise BackendError(
                f"device {name!r} is not here ({n_devices} found). Use --device cpu."
            )
    return device


@contextmanager
def guarded(device: torch.device) -> Iterator[None]:
    """Turn what the machine cannot do into `BackendError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
            raise BackendError(
                f"out of memory on {device}. Close other programs, or use a smaller image."
            ) from error
        raise
