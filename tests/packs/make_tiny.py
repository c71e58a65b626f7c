"""Make `tests/packs/tiny`, a model pack of random weights that stands in for a real one in tests.

    python tests/packs/make_tiny.py [FOLDER]

Everything comes from one seed. The pack has all that a real one has (nine tiers, int8 kernels
beside f16 ones, frequency tables that are not uniform), in about 130 kB.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from vqcodec.nets.kernels import to_stored
from vqcodec.nets.light import LightVqgan
from vqcodec.nets.quantizer import to_sphere

SEED = 7
TOTAL = 1 << 16
CONFIG: dict[str, int | list[int]] = {
    "latent_dim": 4,
    "encoder_channels": [8, 12, 16],
    "encoder_blocks": [1, 1, 1],
    "decoder_channels": [8, 12, 16, 24],
    "decoder_blocks": [1, 1, 1, 2],
}
MANIFEST = """\
schema = 1
name = "tiny"
summary = "random weights for tests"
licence = "CC0-1.0"
default_tier = 8
[weights]
sha256 = "{sha256}"
size_bytes = {size_bytes}
[net]
kind = "light"
stride = 16
[net.config]
{config}
{tiers}
[training]
recipe = "tests/packs/make_tiny.py, seed {seed}"
[quality]
note = "none: the weights are random"
"""


def frequencies(size: int) -> Tensor:
    """A skewed table of `size` entries, each at least 1, with the sum 2**16; (size,) uint16."""
    share = torch.rand(size, dtype=torch.float64).pow(4) + 1e-3
    table = 1 + (share / share.sum() * (TOTAL - size)).floor().long()
    table[0] += TOTAL - int(table.sum())
    return table.to(torch.uint16)


def tensors() -> dict[str, Tensor]:
    """All tensors of the pack, by key."""
    torch.manual_seed(SEED)
    net = LightVqgan(**CONFIG)  # type: ignore[arg-type]
    for parameter in net.parameters():
        if not parameter.any():  # blocks start as the identity: that would test too little
            torch.nn.init.normal_(parameter, std=0.1)
    out = {f"net.{key}": value for key, value in to_stored(net.state_dict(), smallest=1000).items()}
    dim = net.latent_dim
    out["base.codewords"] = to_sphere(torch.randn(4096, dim)).half()
    for tier in range(1, 10):
        size = 2 ** (tier + 2)
        out[f"tier.{tier}.codewords"] = to_sphere(torch.randn(size, dim)).half()
        out[f"tier.{tier}.frequencies"] = frequencies(size)
    return out


def main(folder: Path) -> None:
    """Write the manifest and the weights into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.safetensors"
    data = save(tensors())
    weights.write_bytes(data)
    text = MANIFEST.format(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        config="\n".join(f"{key} = {value}" for key, value in CONFIG.items()),
        tiers="\n".join(
            f"[[tiers]]\ntier = {tier}\ncodebook_size = {2 ** (tier + 2)}" for tier in range(1, 10)
        ),
        seed=SEED,
    )
    (folder / "manifest.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("tiny"))
