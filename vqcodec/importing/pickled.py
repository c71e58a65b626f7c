"""What names in a checkpoint's pickle mean: dictionaries that keep their order, tensors, storages.

Nothing is looked up by a name: a few have a meaning here, the others become `Skipped`, and names
that no checkpoint has a use for are refused, so that a file that means harm is told from one that
is merely rich.

Source: torch 2.13's _utils.py and serialization.py for what tensors look like in a pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from vqcodec.errors import InputError

MAX_DIMS: Final = 8
MAX_EXTENT: Final = 1 << 40  # of sizes and strides, long before any memory is taken

STORAGES: Final = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
"""Storage class of torch -> dtype of its elements; other classes are skipped."""

HARMFUL: Final = frozenset(
    {
        *("os", "nt", "posix", "sys", "subprocess", "pty", "shutil", "socket", "ctypes", "code"),
        *("importlib", "runpy", "commands", "webbrowser", "pickle", "_pickle", "marshal"),
    }
)
"""Modules that weights have no use for, and programs in disguise do."""
HARMFUL_BUILTINS: Final = frozenset(
    {"eval", "exec", "execfile", "compile", "open", "__import__", "input", "apply"}
)
_BUILTINS = {"builtins", "__builtin__", "__builtins__"}


@dataclass(frozen=True)
class Skipped:
    """What stands where something was skipped.

    Attributes:
        name: the name that the pickle gave, `module.name`.
    """

    name: str


@dataclass(frozen=True)
class StorageRef:
    """Where the elements of tensors lie.

    Attributes:
        key: name of the storage inside the file.
        dtype: of its elements, a value of `STORAGES`.
        n_elements: as the pickle claims; the archive compares it with its bytes.
    """

    key: str
    dtype: str
    n_elements: int


@dataclass(frozen=True)
class TensorRef:
    """A tensor that has not been read: its place in a storage, checked to lie inside.

    Attributes:
        storage: where.
        offset: first element.
        shape: at most as many elements as the storage has.
        stride: in elements, none negative.
    """

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class Known:
    """A name that has a meaning here."""

    name: str


DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict"}
REBUILDERS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
PARAMETERS = {
    *("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"),
    "torch.nn.parameter.Parameter",
}
_KNOWN = DICTS | REBUILDERS | PARAMETERS


def named(module: str, name: str) -> Known | Skipped:
    """What a name stands for: something known here, or something to skip.

    Raises:
        InputError: something harmful.
    """
    is_builtin = module in _BUILTINS
    full = f"builtins.{name}" if is_builtin else f"{module}.{name}"
    if module.split(".")[0] in HARMFUL or (is_builtin and name.split(".")[0] in HARMFUL_BUILTINS):
        raise InputError(
            f"its pickle wants to use {full[:80]}, which weights have no use for: the file may "
            "mean harm. Nothing of it was run; take it from another source."
        )
    of_torch = module in ("torch", "torch.cuda") and name in STORAGES
    return Known(full) if of_torch or full in _KNOWN else Skipped(full)


def tensor(storage: Any, offset: Any, shape: Any, stride: Any) -> TensorRef | Skipped:
    """A tensor's place; Skipped where its storage was.

    Raises:
        ValueError: sizes that are none, or that reach outside the storage.
    """
    if isinstance(storage, Skipped):
        return storage
    if not isinstance(storage, StorageRef):
        raise ValueError("a tensor without a storage")
    if not isinstance(shape, tuple | list) or not isinstance(stride, tuple | list):
        raise ValueError("a tensor without a shape")
    if len(shape) != len(stride) or len(shape) > MAX_DIMS:
        raise ValueError(f"a tensor of {len(shape)} dimensions and {len(stride)} strides")
    for value in (offset, *shape, *stride):
        if type(value) is not int or not 0 <= value <= MAX_EXTENT:
            raise ValueError("a tensor with a size or stride that is none")
    n_elements = 1
    for size in shape:
        n_elements *= size
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    # More elements than the storage has would be one that overlaps itself: memory from nothing.
    if n_elements and (last >= storage.n_elements or n_elements > storage.n_elements):
        raise ValueError("a tensor that reaches outside its storage")
    return TensorRef(storage, offset, tuple(shape), tuple(stride))
