"""Tuning a VQGAN of taming's: codebooks and 1x1 convolutions per tier, at both strides."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save
from torch import Tensor

from tests.packs.make_tiny import frequencies
from vqcodec.cli.train import train
from vqcodec.codec import decode, encode
from vqcodec.nets.autoencoder import build
from vqcodec.nets.load import load
from vqcodec.nets.quantizer import nearest
from vqcodec.packs import store
from vqcodec.training import checkpoint, stages
from vqcodec.training.export import export
from vqcodec.training.machine import Machine
from vqcodec.training.own_tiers import prepare, unit_power
from vqcodec.training.pack_files import write_pack
from vqcodec.training.recipe import Recipe, Stage, find_recipe, load_recipe
from vqcodec.training.world import World

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("taming") is None,
    reason="taming-transformers is not installed (extra [taming])",
)

SIZE = 32  # words of the codebook: tiers 1 to 3
NETS: dict[str, dict[str, Any]] = {
    "f16": {"ch_mult": [1, 1, 1, 1, 1], "attn_resolutions": [16]},
    "f8": {"ch_mult": [1, 1, 1, 1], "attn_resolutions": []},
    "f8 gumbel": {"ch_mult": [1, 1, 1, 1], "attn_resolutions": [], "gumbel_words": SIZE},
}


def imported(folder: Path, kind: str = "f16") -> Path:
    """Write a pack as the import makes them: float32, one set of convolutions, small latents."""
    config = {
        **{"ch": 32, "num_res_blocks": 1, "resolution": 256, "z_channels": 6, "embed_dim": 6},
        **NETS[kind],
    }
    torch.manual_seed(5)
    net = build("taming", config).eval()
    with torch.no_grad():
        latents = net.encode(torch.rand(2, 3, 64, 64) * 2 - 1, 1).permute(0, 2, 3, 1).flatten(0, 2)
        words = latents.mean(0) + torch.randn(SIZE, 6) * latents.std(0)
    if kind.endswith("gumbel"):
        words = net.state_dict()["gumbel.embed.weight"].mul_(0.01).clone()
    tensors = {f"net.{key}": value.clone() for key, value in net.state_dict().items()}
    tensors["base.codewords"] = words
    for tier, size in ((1, 8), (2, 16), (3, 32)):
        tensors[f"tier.{tier}.codewords"] = words[:size].clone()
        tensors[f"tier.{tier}.frequencies"] = frequencies(size)
    blob = save(tensors, {"kind": "taming", "config": json.dumps(config)})
    manifest = {
        "schema": 1,
        "name": folder.name,
        "summary": "random weights",
        "licence": "CC0-1.0",
        "default_tier": 3,
        "weights": {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)},
        "net": {"kind": "taming", "stride": net.stride, "config": config},
        "tiers": [{"tier": tier, "codebook_size": 2 ** (tier + 2)} for tier in (1, 2, 3)],
        "training": {},
        "quality": {},
    }
    write_pack(folder, {"weights.safetensors": blob}, manifest)
    return folder


def _tune(pack: Path, out: Path, photos: Path, precision: str = "float32", **how: Any) -> Path:
    stage = Stage(crop_px=32, batch=3, warmup_steps=0, learning_rate=1e-3, **how)
    world = World("cpu", precision)
    machine = Machine([photos], out, out, steps=2, start=pack, say=lambda _: None, world=world)
    stages.run_stages(Recipe(name="tuned", stages={"tiers": stage}), machine, ("tiers",))
    return out


def _states(run: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the stage began and ended with."""
    begun, done = (
        checkpoint.load_start(run / "tiers" / name).tokenizer().state_dict()
        for name in ("start.safetensors", "ema.safetensors")
    )
    return begun, done


@pytest.mark.parametrize("kind", NETS)
def test_a_tuned_pack_encodes_and_decodes(kind: str, photos: Path, tmp_path: Path) -> None:
    pack = imported(tmp_path / "mine", kind)
    run = _tune(pack, tmp_path / "run", photos, tune="quantiser", critic=0.1)
    begun, done = _states(run)
    changed = {key for key in begun if not torch.equal(begun[key], done[key])}
    parts = {".".join(key.split(".")[:2]) for key in changed}
    books = {"books.1", "books.2", "books.3"}
    assert parts == {"net.quant_conv", "net.post_quant_conv"} | books
    assert begun["net.quant_conv.weight"].shape == (3, 6, 6)
    rows = done["net.post_quant_conv.weight"]
    assert not torch.equal(rows[0], rows[2]), "each tier tunes its own"

    start = checkpoint.load_start(checkpoint.find_start(run))
    recipe = Recipe(name="tuned")
    for int8 in (True, False):
        folder = tmp_path / f"tuned-{int8}"
        export(start, recipe, [photos], folder, n_photos=1, int8=int8)
        made = store.load(folder)
        assert [entry.tier for entry in made.manifest.tiers] == [1, 2, 3]
        assert made.manifest.default_tier == 3
        assert made.manifest.net_config["n_tiers"] == 3
        picture = np.arange(40 * 20 * 3, dtype=np.uint8).reshape(40, 20, 3)
        for tier in (1, 3):
            data = encode(picture, tier=tier, model=folder)
            assert decode(data, model=folder).shape == (40, 20, 3)


@pytest.mark.parametrize("kind", NETS)
def test_what_a_stage_begins_with_is_the_imported_network(kind: str, tmp_path: Path) -> None:
    nets = load(store.load(imported(tmp_path / "mine", kind)), device="cpu")
    start = checkpoint.load_start(tmp_path / "mine" / "weights.safetensors")
    said = prepare(start)
    assert said.startswith("1x1 convolutions for 3 tiers")
    model = start.tokenizer()
    assert 0.5 < float(start.codebooks[3].square().mean().sqrt()) < 2
    image = torch.rand(1, 3, 32, 64) * 2 - 1
    with torch.inference_mode():
        for tier in (1, 3):
            before = nets.net.encode(image, tier).flatten(2)[0].t()
            after = model.net.eval().encode(image, tier).flatten(2)[0].t()
            found = nearest(before, nets.codebooks[tier])
            assert torch.equal(found, nearest(after, start.codebooks[tier]))
            codes, ours = (
                words[found].t().reshape(1, 6, *(n // nets.stride for n in image.shape[2:]))
                for words in (nets.codebooks[tier], start.codebooks[tier])
            )
            theirs, ours = nets.net.decode(codes, tier), model.net.decode(ours, tier)
            assert torch.allclose(theirs, ours, rtol=0, atol=1e-4)  # other memory layout


def test_unused_words_do_not_decide_the_scale() -> None:
    words = torch.full((1024, 8), 1e-5)
    words[:20] = 40.0
    assert unit_power(words) == -5
    assert unit_power(torch.zeros(4, 2)) == 0
    assert unit_power(torch.full((4, 2), 0.03)) == 5


@pytest.mark.parametrize(
    ("tune", "wanted"),
    [
        ("everything", {"net.encoder", "net.decoder", "net.quant_conv", "books.3"}),
        ("decoder", {"net.decoder", "net.quant_conv", "books.3"}),
        ("codebooks", {"books.3"}),
    ],
)
def test_other_parts_can_be_tuned_too(
    photos: Path, tmp_path: Path, tune: str, wanted: set[str]
) -> None:
    run = _tune(imported(tmp_path / "mine"), tmp_path / "run", photos, tune=tune)
    begun, done = _states(run)
    parts = {".".join(k.split(".")[:2]) for k in begun if not torch.equal(begun[k], done[k])}
    assert wanted <= parts
    assert tune == "everything" or "net.encoder" not in parts
    is_split = checkpoint.load_start(checkpoint.find_start(run)).outline().n_tiers == 3
    assert is_split == (tune != "codebooks")


def test_what_is_frozen_takes_no_gradients_and_no_second_copy(photos: Path, tmp_path: Path) -> None:
    pack, out = imported(tmp_path / "mine"), tmp_path / "run"
    (out / "tiers").mkdir(parents=True)
    world = World("cpu", "float32")
    machine = Machine([photos], out, out, steps=2, start=pack, say=lambda _: None, world=world)
    recipe = Recipe(name="x", stages={"tiers": Stage(crop_px=32, batch=3, tune="quantiser")})
    trainer = stages.trainer_for("tiers", recipe, machine)
    trainer.train_step(0.0)
    for name, parameter in trainer.model.named_parameters():
        is_tuned = name.startswith(("net.quant_conv", "net.post_quant_conv", "books."))
        assert (parameter.grad is not None) == is_tuned, name
        assert (parameter in trainer.optimizer.state) == is_tuned, name
        averaged = trainer.ema.get_parameter(name)
        assert (averaged.data_ptr() == parameter.data_ptr()) == (not is_tuned), name


def test_a_tuning_goes_on_where_it_was_stopped(photos: Path, tmp_path: Path) -> None:
    pack = imported(tmp_path / "mine")
    _tune(pack, tmp_path / "run", photos, tune="quantiser")
    stage = Stage(crop_px=32, batch=3, warmup_steps=0, learning_rate=1e-3, tune="quantiser")
    world, out = World("cpu", "float32"), tmp_path / "run"
    machine = Machine(
        [photos], out, out, steps=3, start=pack, say=lambda _: None, world=world, is_resumed=True
    )
    stages.run_stages(Recipe(name="tuned", stages={"tiers": stage}), machine, ("tiers",))
    assert checkpoint.load_last(out / "tiers" / "last.pt")["step"] == 3


@pytest.mark.parametrize("kind", ["f16", "f8 gumbel"])
def test_it_is_tuned_in_bfloat16_too(kind: str, photos: Path, tmp_path: Path) -> None:
    pack = imported(tmp_path / "mine", kind)
    run = _tune(pack, tmp_path / "run", photos, "bfloat16", tune="everything")
    assert all(bool(value.isfinite().all()) for value in _states(run)[1].values())


@pytest.mark.parametrize("kind", NETS)
def test_bits_and_gaps_are_learned_of_imported_packs(
    kind: str, photos: Path, squeeze: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'name = "x"\n[context]\nphotos = 2\nhidden = 8\nlearned = 2\nbatch = 32\n[restorer]\n'
        "photos = 2\nwidth = 32\nblocks = 1\nlearned = 2\ncrop = 4\nbatch = 2\npaint_from = 0.5\n"
        "paint_batch = 1\npaint_crop = 4\n",
        encoding="utf-8",
    )
    pack = imported(tmp_path / "mine", kind)
    given = ["--data", photos, "--recipe", recipe, "--steps", 2]
    _train("context", pack, *given, "--out", tmp_path / "bits", "--name", "fewer")
    fewer = store.load(tmp_path / "bits" / "fewer")
    assert fewer.context_tiers() == [1, 2, 3]
    more = ["--weights", squeeze, "--out", tmp_path / "gaps"]
    _train("restorer", fewer.path, *given, *more)
    whole = store.load(tmp_path / "gaps" / "fewer")
    whole.check_restorer()
    picture = np.zeros((33, 50, 3), np.uint8)
    for coding in ("context", "fixed"):
        data = encode(picture, tier=3, model=whole.path, coding=coding)
        assert decode(data, model=whole.path).shape == picture.shape


def test_the_papers_recipe_tunes_what_the_paper_tuned() -> None:
    recipe = load_recipe(find_recipe("paper"))
    stage = recipe.stages["tiers"]
    assert (stage.tune, stage.critic_on, recipe.net_kind) == ("quantiser", "patch", "")
    assert stage.critic
    assert set(stage.perceptual) == {"squeeze", "vgg19"}


def _train(*arguments: object) -> None:
    CliRunner().invoke(train, list(map(str, arguments)), catch_exceptions=False)
