"""Tiny photos, a tiny recipe and random perceptual nets for the tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.one_thread import one_thread  # noqa: F401  (autouse)
from vqcodec.training.perceptual import LPIPS_NETS

RECIPE = """\
name = "test-1"
summary = "a test \\"with\\" quotes"
licence = "CC0-1.0"
[net]
kind = "light"
[net.config]
latent_dim = 4
encoder_channels = [8, 8, 8]
encoder_blocks = [1, 1, 1]
decoder_channels = [8, 8, 8, 8]
decoder_blocks = [1, 1, 1, 1]
[codebooks]
base_size = 2304
latents = 512
n_init = 1
[base]
crop_px = 32
batch = 3
plain_until = 0.3
seed = 3
[adversarial]
crop_px = 32
batch = 3
critic = 0.1
critic_weight = "adaptive"
seed = 5
[tiers]
crop_px = 64
batch = 9
critic = 0.1
critic_window_px = 32
seed = 4
[context]
photos = 2
hidden = 8
learned = 2
batch = 32
[restorer]
photos = 2
width = 32
blocks = 1
learned = 2
crop = 4
batch = 2
paint_from = 0.5
paint_batch = 1
paint_crop = 2
[training]
sources = "made up"
"""


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three seeded photos of 96 x 160 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :160]
    for n in range(3):
        wave = 127 + 100 * np.sin(x / (7 + 5 * n))[..., None] * np.cos(y / 9)[..., None]
        pixels = wave + random.normal(0, 12, (96, 160, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
    return folder


@pytest.fixture(scope="session")
def squeeze(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a perceptual net of random weights, the one that judges restorers."""
    folder = tmp_path_factory.mktemp("nets")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        state = LPIPS_NETS["squeeze"][0]().state_dict()
        heads = [torch.rand(1, n, 1, 1) for n in (64, 128, 256, 384, 384, 512, 512)]
    save_file({f"features.{k}": v.half() for k, v in state.items()}, folder / "squeeze.safetensors")
    save_file({f"lin{n}": v for n, v in enumerate(heads)}, folder / "lpips_squeeze.safetensors")
    return folder


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    """The tiny recipe."""
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path
