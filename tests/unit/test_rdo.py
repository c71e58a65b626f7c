"""Rate-distortion optimised quantisation: dearer words give way to cheaper ones that are close."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vqcodec.bitstream.packets import Header
from vqcodec.codec import decode, encode
from vqcodec.errors import ModelError
from vqcodec.packs import store
from vqcodec.payload import encode_index_map
from vqcodec.rdo import choose


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (120, 170, 3), np.uint8)


def test_weight_0_takes_the_nearest_word(tiny_context_pack: Path) -> None:
    pack, random = store.load(tiny_context_pack), np.random.default_rng(1)
    context = pack.context(4)
    assert context is not None
    words = random.normal(size=(64, 4)).astype(np.float32)
    latents = random.normal(size=(9, 13, 4)).astype(np.float32)
    header = Header(4, "context", 1, pack.weights_id, 13 * 16, 9 * 16)
    distances = np.square(latents[:, :, None] - words).sum(-1)  # (9, 13, 64)
    assert np.array_equal(choose(latents, words, header, context, 0.0), distances.argmin(-1))


def test_more_weight_means_fewer_bits_and_more_distance(tiny_context_pack: Path) -> None:
    pack, random = store.load(tiny_context_pack), np.random.default_rng(1)
    context, frequencies = pack.context(4), pack.frequencies(4)
    assert context is not None
    words = random.normal(size=(64, 4)).astype(np.float32)
    latents = random.normal(size=(24, 32, 4)).astype(np.float32)
    header = Header(4, "context", 1, pack.weights_id, 32 * 16, 24 * 16)
    sizes, distances = [], []
    for weight in (0.0, 0.05, 0.3, 3.0):
        indices = choose(latents, words, header, context, weight)
        sizes.append(len(encode_index_map(indices, header, frequencies, context)[0]))
        distances.append(float(np.square(latents - words[indices]).sum()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.8 * sizes[0]
    assert distances == sorted(distances)


def test_files_get_smaller_and_decode(tiny_context_pack: Path, image: np.ndarray) -> None:
    nearest = encode(image, tier=5, model=tiny_context_pack, rdo=0)
    chosen = encode(image, tier=5, model=tiny_context_pack, rdo=20.0)
    assert len(chosen) < len(nearest)
    assert decode(chosen, model=tiny_context_pack).shape == image.shape


def test_rdo_asks_for_the_context_model(
    tiny_pack: Path, tiny_context_pack: Path, image: np.ndarray
) -> None:
    with pytest.raises(ModelError, match="context"):
        encode(image, tier=3, model=tiny_pack, rdo=0.1)
    encode(image, tier=3, model=tiny_pack, rdo=0.0)
    for more in ({"coding": "fixed"}, {"n_packets": 4}):
        with pytest.raises(ValueError, match="context model"):
            encode(image, tier=3, model=tiny_context_pack, rdo=0.1, **more)
    for wrong in (-1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match="from 0 to 100"):
            encode(image, tier=3, model=tiny_context_pack, rdo=wrong)
