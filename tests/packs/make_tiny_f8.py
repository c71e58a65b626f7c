"""Make `tests/packs/tiny-f8`: a pack of stride 8, of taming's network, with a context model.

    python -m tests.packs.make_tiny_f8 [FOLDER]

Needs taming-transformers. That network has at least 32 channels everywhere, so its kernels take
most of the pack's 410 kB; nine weights in ten are 0, which makes the pack 100 kB where files are
compressed, as in the repository. Its files are read down to their indices without the network.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from tests.packs import make_tiny, make_tiny_context
from vqcodec.nets.autoencoder import build
from vqcodec.nets.kernels import to_stored

SEED = 17
TIERS = make_tiny_context.TIERS
CONFIG: dict[str, int | list[int]] = {
    "ch": 32,
    "ch_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "resolution": 64,
    "z_channels": 4,
    "embed_dim": make_tiny_context.DIM,
}


def tensors() -> dict[str, Tensor]:
    """All tensors of the pack, by key."""
    torch.manual_seed(SEED)
    net = build("taming", CONFIG)
    state = {
        key: value * 3 * (torch.rand_like(value) < 0.1) if value.dim() == 4 else value
        for key, value in net.state_dict().items()
    }
    out = {f"net.{key}": value for key, value in to_stored(state, smallest=1000).items()}
    with torch.inference_mode():
        net.load_state_dict(state)
        noise = torch.rand(1, 3, 128, 128).mul(2).sub(1)
        latents = net.encode(noise, 1)[0].flatten(1).t()  # (256, D)
    spread, mean = latents.std(0), latents.mean(0)
    for tier in TIERS:
        size = 2 ** (tier + 2)
        out[f"tier.{tier}.codewords"] = (torch.randn(size, spread.numel()) * spread + mean).half()
        out[f"tier.{tier}.frequencies"] = make_tiny.frequencies(size)
    out["base.codewords"] = out[f"tier.{max(TIERS)}.codewords"].clone()
    return out | make_tiny_context.context()


def main(folder: Path) -> None:
    """Write the manifest and the weights into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save(tensors())
    (folder / "weights.safetensors").write_bytes(data)
    text = make_tiny.MANIFEST.format(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        config="\n".join(f"{key} = {value}" for key, value in CONFIG.items()),
        tiers="\n".join(
            f"[[tiers]]\ntier = {tier}\ncodebook_size = {2 ** (tier + 2)}" for tier in TIERS
        ),
        seed=SEED,
    )
    for old, new in (
        ('name = "tiny"', 'name = "tiny-f8"'),
        ("random weights for tests", "random weights for tests, of stride 8"),
        ("default_tier = 8", "default_tier = 5"),
        ('kind = "light"', 'kind = "taming"'),
        ("stride = 16", "stride = 8"),
        ("make_tiny.py", "make_tiny_f8.py"),
    ):
        text = text.replace(old, new)
    (folder / "manifest.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("tiny-f8"))
