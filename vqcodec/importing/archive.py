"""A checkpoint's file opened: which tensors it has, and those that are wanted read.

Three kinds of file: both of `torch.save`, and safetensors. What lies around the weights
(optimisers, callbacks, settings) is never read.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vqcodec.errors import BackendError, InputError
from vqcodec.importing.pickled import Skipped, StorageRef, TensorRef
from vqcodec.importing.storages import RowStorages, ZipStorages

WRAPPINGS: Final = ("state_dict", "model")
"""Where training programs put the weights; without one, the file is the weights."""
_DTYPES: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
MAX_TENSORS: Final = 100_000


@dataclass(frozen=True)
class Found:
    """A tensor that the file has.

    Attributes:
        shape: of it.
        dtype: as torch calls it, "float32".
    """

    shape: tuple[int, ...]
    dtype: str


class Checkpoint(Protocol):
    """What a file of any kind gives.

    Attributes:
        path: the file.
        kind: what wrote it, for people.
        tensors: by name.
        skipped: what stands in the place of a tensor that cannot be read, by name.
    """

    path: Path
    kind: str
    tensors: dict[str, Found]
    skipped: dict[str, str]

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read tensors, contiguous; InputError when the file is damaged."""
        ...


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a checkpoint, without reading its tensors.

    Raises:
        InputError: missing, not a checkpoint, damaged, or it names something harmful.
    """
    with told(path):
        if path.is_dir():
            raise InputError("a folder without diffusion_pytorch_model.safetensors or .bin.")
        with path.open("rb") as file:
            begin = file.read(16)
        if begin.startswith(b"PK\x03\x04"):
            return _TorchFile(path, ZipStorages(path))
        if begin[8:9] == b"{":
            return _SafetensorsFile(path)
        if begin.startswith(b"\x80"):
            return _TorchFile(path, RowStorages(path))
        raise InputError("not a checkpoint: neither torch.save's nor safetensors.")


class _TorchFile:
    """A file that `torch.save` wrote."""

    def __init__(self, path: Path, storages: ZipStorages | RowStorages) -> None:
        self.path, self.kind, self._storages = path, storages.kind, storages
        state = _unwrapped(storages.values)
        self._refs = {key: value for key, value in state.items() if isinstance(value, TensorRef)}
        self.skipped = {k: value.name for k, value in state.items() if isinstance(value, Skipped)}
        self.tensors = {key: Found(ref.shape, ref.storage.dtype) for key, ref in self._refs.items()}
        if len(self.tensors) > MAX_TENSORS:
            raise InputError(f"more than {MAX_TENSORS:,} tensors: not a checkpoint.")

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read tensors; one that lies in a storage with others is copied out of it."""
        sharing: dict[StorageRef, list[str]] = defaultdict(list)
        for name in names:
            sharing[self._refs[name].storage].append(name)
        out = {}
        with told(self.path):
            for storage, sharers in self._blobs(sharing):
                for name in sharers:
                    ref = self._refs[name]
                    part = storage.as_strided(ref.shape, ref.stride, ref.offset)
                    is_whole = part.is_contiguous() and part.numel() == storage.numel()
                    out[name] = (
                        part
                        if is_whole and len(sharers) == 1
                        else part.clone(memory_format=torch.contiguous_format)
                    )
        return out

    def _blobs(self, sharing: Mapping[StorageRef, list[str]]) -> Iterator[tuple[Tensor, list[str]]]:
        empty = [ref for ref in sharing if not ref.n_elements]
        for ref in empty:
            yield torch.empty(0, dtype=getattr(torch, ref.dtype)), sharing[ref]
        for ref, blob in self._storages.blobs([ref for ref in sharing if ref.n_elements]):
            yield torch.frombuffer(blob, dtype=getattr(torch, ref.dtype)), sharing[ref]


class _SafetensorsFile:
    """A safetensors file; the library checks its header."""

    kind = "safetensors"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped: dict[str, str] = {}
        self.tensors: dict[str, Found] = {}
        with safe_open(path, framework="pt") as file:
            for key in file.keys():
                part = file.get_slice(key)
                dtype = _DTYPES.get(part.get_dtype(), part.get_dtype())
                self.tensors[key] = Found(tuple(part.get_shape()), dtype)

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Read tensors."""
        with told(self.path), safe_open(self.path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in names}


def _unwrapped(values: Any) -> dict[str, Any]:
    """The weights of a file, by name."""
    for key in WRAPPINGS:
        inner = values.get(key) if isinstance(values, dict) else None
        if isinstance(inner, dict):
            values = inner
            break
        if isinstance(inner, Skipped):
            raise InputError(
                f"its '{key}' is a {inner.name[:80]}, which cannot be read without running code: "
                "save its state_dict() instead."
            )
    if isinstance(values, Skipped):
        raise InputError(
            f"holds a {values.name[:80]}, which cannot be read without running code: save its "
            "state_dict() instead."
        )
    named = values.items() if isinstance(values, dict) else ()
    state = {key: value for key, value in named if isinstance(key, str)}
    if not any(isinstance(value, TensorRef | Skipped) for value in state.values()):
        raise InputError("no weights in it: neither state_dict nor model nor tensors by name.")
    return state


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what libraries raise about a damaged file into `InputError`, and name the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error.message}", path=path, **error.details) from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found.", path=path) from error
    except MemoryError as error:
        raise BackendError(f"{path}: not enough memory to read it.") from error
    except (OSError, SafetensorError, zipfile.BadZipFile, zlib.error, struct.error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:80]
        raise InputError(f"{path}: damaged, or not a checkpoint ({reason}).", path=path) from error
    except (ValueError, KeyError, IndexError, RuntimeError, EOFError, OverflowError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path}: damaged, or not a checkpoint ({reason}).", path=path) from error
