"""The released model packs: whole, registered, and painting what they painted at release."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vqcodec
from tests.golden.make_pack import TIERS, photo
from vqcodec.bitstream.registry import REGISTERED_PACKS
from vqcodec.packs import store

MODELS = Path(__file__).parents[2] / "models"
GOLDEN = Path(__file__).parents[1] / "golden"
PACKS = sorted(path.parent for path in MODELS.glob("*/manifest.toml"))

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def shipped_models_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQCODEC_MODELS", raising=False)


def test_the_default_is_shipped() -> None:
    assert store.find().path in PACKS


@pytest.mark.parametrize("folder", PACKS, ids=lambda path: path.name)
def test_packs_are_whole_registered_and_small_enough(folder) -> None:
    pack = store.load(folder)
    pack.check()
    assert pack.name == folder.name
    assert REGISTERED_PACKS[pack.weights_id] == (pack.name, pack.digest)
    assert [entry.tier for entry in pack.manifest.tiers] == list(range(1, 12))
    assert (folder / "CARD.md").stat().st_size > 1000
    assert pack.weights_path.stat().st_size <= 14 * 2**20
    pack.check_restorer()
    assert pack.restorer_path.stat().st_size <= 5 * 2**20


@pytest.mark.parametrize("folder", PACKS, ids=lambda path: path.name)
@pytest.mark.parametrize("tier", TIERS)
def test_goldens_decode_to_the_pictures_of_the_release(folder, tier) -> None:
    golden = GOLDEN / folder.name
    picture = vqcodec.decode((golden / f"tier{tier}.vqc").read_bytes()).astype(int)
    with Image.open(golden / f"tier{tier}.png") as image:
        wanted = np.asarray(image.convert("RGB")).astype(int)
    error = np.abs(picture - wanted)
    assert (error <= 2).mean() >= 0.999
    assert (error.astype(float) ** 2).mean() <= 255**2 / 10**4.5  # 45 dB


@pytest.mark.parametrize(("tier", "share"), [(1, 1.0), (9, 0.5)])
def test_a_photo_comes_back_as_itself(tier, share) -> None:
    pixels = photo()
    data = vqcodec.encode(pixels, tier=tier)
    info = vqcodec.describe(data)
    indices = -(-pixels.shape[0] // 16) * -(-pixels.shape[1] // 16)
    assert info.header_bytes == 16
    assert len(data) <= 16 + -(-indices * (tier + 2) // 8)
    assert vqcodec.verify(data) == []
    picture = vqcodec.decode(data)
    assert picture.shape == pixels.shape
    flat = np.broadcast_to(pixels.mean((0, 1)), pixels.shape)
    ours = ((picture.astype(float) - pixels) ** 2).mean()
    # 46 bytes of eight words are closer to this busy corner than its mean colour is; tier 9 by far.
    assert ours < share * ((flat - pixels) ** 2).mean()
