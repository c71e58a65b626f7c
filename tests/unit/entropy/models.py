"""Random context models for tests."""

from __future__ import annotations

import numpy as np

from vqcodec.entropy.context import ContextModel, Layer

OFFSETS = [(0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -3), (-2, 3)]


def random_tensors(
    size: int,
    *,
    seed: int = 0,
    scale: float = 20,
    dims: tuple[int, int, int, int] = (6, 3, 12, 5),
    n_blocks: int = 1,
) -> dict[str, np.ndarray]:
    """Tensors of a model by key, without `context.` and `tier.`; dims are M, E, H, D."""
    count, dim, hidden, width = dims
    rng = np.random.default_rng(seed)
    offsets = OFFSETS
    if count > len(offsets):
        offsets = [(dy, dx) for dy in range(-4, 0) for dx in range(-4, -2 * dy)][:count]

    def eight_bits(*shape: int) -> np.ndarray:
        return np.clip(rng.normal(0, scale, shape), -127, 127).astype(np.int8)

    def bias(n: int) -> np.ndarray:
        return rng.integers(-2000, 2000, n).astype(np.int32)

    out = {
        "offsets": np.array(offsets[:count], np.int8),
        "codewords": rng.normal(0, 1, (size, dim)).astype(np.float16),
        "special": eight_bits(2, dim),
        "first.weight": eight_bits(count * dim, hidden),
        "neck.weight": eight_bits(hidden, width),
        "neck.bias": bias(width),
        "shifts": np.array([6] + [8] * n_blocks + [8], np.uint8),
        "bias": bias(hidden),
        "learned": eight_bits(size, width - dim),
        "logit_bias": bias(size),
    }
    for number in range(n_blocks):
        out[f"block.{number}.weight"] = eight_bits(hidden, hidden)
        out[f"block.{number}.bias"] = bias(hidden)
    return out


def model_of(tensors: dict[str, np.ndarray]) -> ContextModel:
    """The product's model of such tensors."""
    shifts = tensors["shifts"].tolist()
    return ContextModel(
        offsets=tensors["offsets"],
        codewords=tensors["codewords"],
        special=tensors["special"],
        first=Layer(tensors["first.weight"], tensors["bias"], shifts[0]),
        blocks=[
            Layer(tensors[f"block.{n}.weight"], tensors[f"block.{n}.bias"], shifts[1 + n])
            for n in range(len(shifts) - 2)
        ],
        neck=Layer(tensors["neck.weight"], tensors["neck.bias"], shifts[-1]),
        learned=tensors["learned"],
        logit_bias=tensors["logit_bias"],
    )


def random_model(size: int, **options: object) -> ContextModel:
    """A model of random integers."""
    return model_of(random_tensors(size, **options))
