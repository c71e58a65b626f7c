"""The published f16 network at its full size, with random weights: VQCODEC_SLOW=1 runs it.

About 72 million weights in the network and 4 million in the codebook; the file has optimiser states
beside them, 600 MB. Run it alone under /usr/bin/time -v for the figures in docs/IMPORT.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vqcodec
from vqcodec.importing.pack import Order, import_checkpoint
from vqcodec.nets.load import load
from vqcodec.packs import store

from .conftest import VQModel, ddconfig, lightning
from .test_import import as_taming, floats_of

pytestmark = pytest.mark.slow

CONFIG = """
model:
  base_learning_rate: 4.5e-06
  target: taming.models.vqgan.VQModel
  params:
    embed_dim: 256
    n_embed: 16384
    ddconfig: {double_z: false, z_channels: 256, resolution: 256, in_channels: 3, out_ch: 3,
      ch: 128, ch_mult: [1, 1, 2, 2, 4], num_res_blocks: 2, attn_resolutions: [16], dropout: 0.0}
"""


@pytest.fixture
def full() -> VQModel:
    """vqgan_imagenet_f16_16384, untrained, with words spread as its latents are."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        model = VQModel(ddconfig(ch=128, z=256) | {"num_res_blocks": 2}, 16384, 256).eval()
        latents = model.quant_conv(model.encoder(torch.rand(1, 3, 256, 256) * 2 - 1))
        model.quantize.embedding.weight.normal_().mul_(latents.std()).add_(latents.mean())
        model.decoder.conv_out.weight.div_(4)
    return model


def save(model: VQModel, path: Path) -> Path:
    """With both moments of Adam, as the original training saved."""
    values = lightning(model)
    moments = {
        n: {"step": 1, "exp_avg": value, "exp_avg_sq": value * value}
        for n, value in enumerate(model.state_dict().values())
    }
    values["optimizer_states"] = [{"state": moments, "param_groups": []}]
    torch.save(values, path)
    return path


def test_the_published_network_at_full_size(full: VQModel, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    path = save(full, tmp_path / "last.ckpt")
    (tmp_path / "model.yaml").write_text(CONFIG)
    begin = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begin:6.1f} s  {line}", flush=True)

    say(f"{path.stat().st_size:,} bytes")
    order = Order(path, "full", tmp_path, config=tmp_path / "model.yaml")
    pack = store.load(import_checkpoint(order, say))
    pack.check()
    say(f"written: {pack.manifest.weights_size_bytes:,} bytes")
    noise = Image.effect_noise((24, 16), 90).convert("RGB").resize((384, 256), Image.BICUBIC)
    picture = np.asarray(noise)
    indices, painted = as_taming(full, picture)
    # The layout in memory that is fastest, and that packs run in, rounds convolutions of hundreds
    # of channels eight times as coarsely; in taming's own layout nothing but float32 is between us.
    nets = load(pack, device="cpu")
    assert np.array_equal(nets.to_indices(picture, 12), indices)
    nets.net.to(memory_format=torch.contiguous_format)
    words = torch.from_numpy(nets.codewords(12)[indices]).permute(2, 0, 1)[None].contiguous()
    with torch.inference_mode():
        ours = nets.net.decode(words, 12)[0].permute(1, 2, 0).numpy()
    say(f"as taming runs: {np.abs(ours - painted).max():.1e} between the pictures")
    assert np.abs(ours - painted).max() <= 1e-5
    as_run = floats_of(pack, picture, 12)
    say(f"as packs run: {np.abs(as_run - painted).max():.1e}")
    assert np.abs(as_run - painted).max() <= 5e-5
    data = vqcodec.encode(picture, tier=12, model=pack.path, device="cpu")
    say("encoded")
    decoded = vqcodec.decode_with_losses(data, model=pack.path, device="cpu")
    say(f"decoded, {len(np.unique(indices))} words in use")
    assert np.array_equal(decoded.indices, indices)
