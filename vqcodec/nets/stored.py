"""What a pack stores for its networks, checked before it is used: keys, shapes, finite values."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vqcodec.errors import PackError

MAX_CODEBOOK = 1 << 16


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a pack's tensors; PackError when that cannot be done."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise PackError(f"{path}: missing. Fetch the model pack again.", path=path) from error
    except (OSError, SafetensorError) as error:
        raise PackError(f"{path}: not a readable safetensors file ({error}).", path=path) from error


def fill(net: nn.Module, state: dict[str, Tensor], prefix: str = "net.") -> None:
    """Give the (weightless) network its weights; PackError unless keys and shapes fit exactly.

    `prefix` is what the keys begin with in the file, for messages.
    """
    wanted = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    for key in sorted(wanted.keys() ^ found.keys()):
        fault = "is missing" if key in wanted else "is unknown to this network"
        raise PackError(f"weights: {prefix}{key} {fault}.", field=prefix + key)
    for key, shape in wanted.items():
        if found[key] != shape:
            raise PackError(
                f"weights: {prefix}{key} has shape {found[key]}; wanted {shape}.",
                field=prefix + key,
                expected=shape,
                found=found[key],
            )
    net.load_state_dict(state, assign=True)


def codewords(stored: dict[str, Tensor], tier: int, size: int, dim: int) -> Tensor:
    """A tier's codebook, (K_T, D) float32, checked."""
    key = f"tier.{tier}.codewords"
    if key not in stored:
        raise PackError(f"weights: {key} is missing.", field=key)
    words = stored[key]
    if not 1 <= size <= MAX_CODEBOOK or tuple(words.shape) != (size, dim):
        raise PackError(
            f"weights: {key} has shape {tuple(words.shape)}; wanted ({size}, {dim}).", field=key
        )
    if not words.dtype.is_floating_point or not bool(words.isfinite().all()):
        raise PackError(f"weights: {key} must hold finite floats.", field=key)
    return words.float()
