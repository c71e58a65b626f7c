"""Make `tests/packs/tiny-context`: six tiers of the tiny pack, and a context model for mode 2.

    python -m tests.packs.make_tiny_context [FOLDER]

The context model is random, scaled so that its layers neither saturate nor vanish and words differ
by some bits.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from tests.packs import make_tiny

SEED = 11
TIERS = range(1, 7)
OFFSETS = [(0, -1), (0, -2), (-1, 0), (-1, -1), (-1, 1), (-2, 3)]
DIM, HIDDEN, WIDTH = 4, 16, 8


def context() -> dict[str, Tensor]:
    """The context model's tensors, by key."""
    torch.manual_seed(SEED)

    def eight_bits(*shape: int, scale: float) -> Tensor:
        return (torch.randn(shape) * scale).round().clamp(-127, 127).to(torch.int8)

    def bias(*shape: int, scale: float) -> Tensor:
        return (torch.randn(shape) * scale).round().to(torch.int32)

    out = {
        "offsets": torch.tensor(OFFSETS, dtype=torch.int8),
        "special": eight_bits(2, DIM, scale=32),
        "first.weight": eight_bits(len(OFFSETS) * DIM, HIDDEN, scale=40),
        "block.0.weight": eight_bits(HIDDEN, HIDDEN, scale=20),
        "block.0.bias": bias(HIDDEN, scale=2000),
        "neck.weight": eight_bits(HIDDEN, WIDTH, scale=20),
        "neck.bias": bias(WIDTH, scale=2000),
        "shifts": torch.tensor([6, 8, 8], dtype=torch.uint8),
    }
    for tier in TIERS:
        size = 2 ** (tier + 2)
        out[f"{tier}.bias"] = bias(HIDDEN, scale=3000)
        out[f"{tier}.learned"] = eight_bits(size, WIDTH - DIM, scale=32)
        out[f"{tier}.logit_bias"] = bias(size, scale=500)
    return {f"context.{key}": value for key, value in out.items()}


def tensors() -> dict[str, Tensor]:
    """All tensors of the pack, by key."""
    tiny = make_tiny.tensors()
    kept = {key: value for key, value in tiny.items() if key.startswith("net.")}
    kept["base.codewords"] = tiny["base.codewords"][:256].clone()
    for tier in TIERS:
        for what in ("codewords", "frequencies"):
            kept[f"tier.{tier}.{what}"] = tiny[f"tier.{tier}.{what}"]
    return kept | context()


def main(folder: Path) -> None:
    """Write the manifest and the weights into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save(tensors())
    (folder / "weights.safetensors").write_bytes(data)
    text = make_tiny.MANIFEST.format(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        config="\n".join(f"{key} = {value}" for key, value in make_tiny.CONFIG.items()),
        tiers="\n".join(
            f"[[tiers]]\ntier = {tier}\ncodebook_size = {2 ** (tier + 2)}" for tier in TIERS
        ),
        seed=SEED,
    )
    for old, new in (
        ('name = "tiny"', 'name = "tiny-context"'),
        ("random weights for tests", "random weights for tests, with a context model"),
        ("default_tier = 8", "default_tier = 5"),
        ("make_tiny.py", "make_tiny_context.py"),
    ):
        text = text.replace(old, new)
    (folder / "manifest.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("tiny-context"))
