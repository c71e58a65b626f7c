"""Weights go on with more tiers than they have; how many a model has is the network's word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.packs.make_tiny import CONFIG
from vqcodec.codec import decode, encode
from vqcodec.errors import InputError
from vqcodec.inspection import describe
from vqcodec.nets.autoencoder import build
from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.training import checkpoint, stages, tiers
from vqcodec.training.export import export
from vqcodec.training.machine import Machine
from vqcodec.training.recipe import Codebooks, Recipe, Stage
from vqcodec.training.tokenizer import Tokenizer, tiers_of
from vqcodec.training.world import World

STAGE = Stage(crop_px=32, batch=3)
RECIPE = Recipe(
    name="more",
    net_kind="light",
    net_config={**CONFIG, "n_tiers": 10},
    stages={"base": STAGE, "tiers": STAGE},
)


def _machine(out: Path, photos: Path, start: Path | None = None) -> Machine:
    world = World("cpu", "float32")
    return Machine([photos], out, out, steps=1, start=start, say=lambda _: None, world=world)


@pytest.fixture
def nine(tiny_pack: Path, tmp_path: Path) -> Path:
    """The tiny pack as weights of a run."""
    nets = load(store.load(tiny_pack), device="cpu")
    base = load_file(tiny_pack / "weights.safetensors")["base.codewords"]
    checkpoint.save_ema(Tokenizer(nets.net, base, nets.codebooks), tmp_path / "nine.safetensors")
    return tmp_path / "nine.safetensors"


def test_tiers_follow_from_the_network() -> None:
    assert tiers_of(build("light", CONFIG)) == list(range(1, 10))
    assert tiers_of(build("light", {**CONFIG, "n_tiers": 12})) == list(range(1, 13))
    untold = build("light", CONFIG)
    untold.n_tiers = 0
    assert tiers_of(untold) == list(range(1, 10))


def test_a_model_of_nine_tiers_goes_on_with_ten(
    nine: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiers, "LATENTS_PER_WORD", 1)
    stages.run_stages(RECIPE, _machine(tmp_path / "run", photos, nine), ("tiers",))
    before = checkpoint.load_start(nine)
    begun = checkpoint.load_start(tmp_path / "run" / "tiers" / "start.safetensors")
    assert sorted(begun.codebooks) == list(range(1, 11))
    for tier, words in before.codebooks.items():
        assert torch.allclose(begun.codebooks[tier], words, atol=1e-5), "it is kept"
    assert begun.codebooks[10].shape == (4096, 4)
    assert torch.allclose(begun.codebooks[10].norm(dim=1), torch.tensor(2.0), atol=1e-4)
    scale = begun.state["decoder.s4.film.scale"]
    assert torch.equal(scale[:9], before.state["decoder.s4.film.scale"])
    assert torch.equal(scale[9], scale[8])

    done = checkpoint.load_start(checkpoint.find_start(tmp_path / "run"))
    assert sorted(done.codebooks) == list(range(1, 11))
    export(done, RECIPE, [photos], tmp_path / "pack", n_photos=1)
    pack = store.load(tmp_path / "pack")
    assert [entry.tier for entry in pack.manifest.tiers] == list(range(1, 11))
    data = encode(np.zeros((33, 20, 3), np.uint8), tier=10, model=pack.path)
    assert describe(data).codebook_size == 4096
    assert decode(data, model=pack.path).shape == (33, 20, 3)


def test_a_tier_as_large_as_the_base_is_made_of_latents(nine: Path, photos: Path) -> None:
    start = checkpoint.load_start(nine)
    assert start.base is not None
    model = Tokenizer(start.net(), start.base[:64])
    said: list[str] = []
    how = Codebooks(latents=300, n_init=1, tiers_from="words")
    pool = stages.Photos([photos], 32)
    made = tiers.make_tiers(model, pool, [3, 4], how, said.append)
    assert {tier: len(words) for tier, words in made.items()} == {3: 32, 4: 64}
    assert said == ["tier 4: 64 words from 300 latents"]


def test_an_export_names_the_tiers_that_are_missing(nine: Path, tmp_path: Path) -> None:
    start = checkpoint.load_start(nine)
    start.config = {**CONFIG, "n_tiers": 12}
    with pytest.raises(InputError, match="no codebook for tier 10, 11, 12"):
        export(start, RECIPE, [tmp_path], tmp_path / "pack")
    start.config = CONFIG
    with pytest.raises(InputError, match="default_tier is 10"):
        export(start, replace(RECIPE, default_tier=10), [tmp_path], tmp_path / "pack")


def test_a_base_tier_beyond_the_network_is_told(photos: Path, tmp_path: Path) -> None:
    few = replace(RECIPE, net_config={**CONFIG, "n_tiers": 3})
    with pytest.raises(InputError, match="base_tier is 9, and the network's tiers end at 3"):
        stages.run_stages(few, _machine(tmp_path / "run", photos), ("base",))
