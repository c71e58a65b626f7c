"""A pack of random weights that is large enough to be compressed, and photos to calibrate on."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.one_thread import one_thread  # noqa: F401  (autouse)
from vqcodec.packs import store

MAKER = Path(__file__).parents[2] / "packs" / "make_tiny.py"
WIDER = {
    "latent_dim": 4,
    "encoder_channels": [8, 16, 48],
    "encoder_blocks": [1, 1, 1],
    "decoder_channels": [8, 12, 24, 48],
    "decoder_blocks": [1, 1, 1, 2],
}


@pytest.fixture(scope="session")
def wider(tmp_path_factory: pytest.TempPathFactory) -> store.Pack:
    """The tiny pack's maker, with kernels of a few thousand weights."""
    spec = importlib.util.spec_from_file_location("make_wider", MAKER)
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    maker.CONFIG = WIDER
    folder = tmp_path_factory.mktemp("packs") / "wider"
    maker.main(folder)
    return store.load(folder)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 16 photos of 256 pixels or more a side."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(5)
    for n in range(16):
        small = Image.fromarray(random.integers(0, 256, (12, 12 + n, 3), np.uint8))
        small.resize((256 + 8 * n, 256), Image.Resampling.BICUBIC).save(folder / f"{n:02}.png")
    return folder
