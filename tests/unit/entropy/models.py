"""Random context models for tests."""

from __future__ import annotations

import hashlib

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


def large_tensors(size: int) -> dict[str, np.ndarray]:
    """A model whose sums come close to what float32 counts, and that does not saturate."""
    tensors = random_tensors(size, dims=(24, 40, 512, 64), scale=200)
    tensors["shifts"] = np.array([12, 13, 12], np.uint8)
    return tensors


def neighbours_for(model: ContextModel, n: int, seed: int = 0) -> np.ndarray:
    """(n, M) any neighbours."""
    rng = np.random.default_rng(seed)
    return rng.integers(model.size + 2, size=(n, len(model.offsets)))


def digest_of_rows() -> str:
    """What several models of realistic size and of the largest sums predict, as one sha256."""
    digest = hashlib.sha256()
    for size in (8, 1024, 8192):
        for model in (random_model(size, dims=(21, 32, 256, 64)), model_of(large_tensors(size))):
            for n in (1, 3, 40):
                digest.update(model.rows(neighbours_for(model, n)).tobytes())
    return digest.hexdigest()
