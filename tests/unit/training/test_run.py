"""A tiny run from photos to a pack: stages, checkpoints, resume, export, measure."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from vqcodec.cli.train import train
from vqcodec.errors import InputError, VqcError
from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.training import checkpoint, stages
from vqcodec.training.export import export
from vqcodec.training.loop import Trainer
from vqcodec.training.measure import measure
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import Recipe, load_recipe


def _trainer(start: Path, recipe: Recipe, photos: Path, out: Path) -> Trainer:
    """Stage 2 with a clock that ticks once a look, so that runs repeat to the last bit."""
    out.mkdir(exist_ok=True)
    model = checkpoint.load_start(start).tokenizer()
    crops = Photos(photos, recipe.tiers.crop_px, seed=recipe.tiers.seed)
    describe = {"kind": "light", "config": recipe.net_config}
    trainer = Trainer(model, recipe.tiers, list(range(1, 10)), crops, {}, out, describe, print)
    trainer.clock = itertools.count().__next__
    return trainer


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """Both stages, run once: folders `base` and `tiers`."""
    from .conftest import RECIPE

    folder = tmp_path_factory.mktemp("runs")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    recipe = load_recipe(folder / "recipe.toml")
    torch.manual_seed(0)

    def machine(out: str, start: Path | None = None) -> stages.Machine:
        return stages.Machine(
            photos, folder, folder / out, minutes=0.02, say=lambda _: None, start=start
        )

    stages.train_tokenizer(recipe, machine("base"))
    stages.train_tiers(recipe, machine("tiers", folder / "base" / "ema.safetensors"))
    return folder


def test_stage_1_gives_a_base_codebook(runs: Path) -> None:
    start = checkpoint.load_start(runs / "base" / "ema.safetensors")
    assert start.base is not None
    assert start.base.shape == (2304, 4)
    assert start.codebooks == {}


def test_stage_2_gives_nine_tiers_on_the_sphere(runs: Path) -> None:
    start = checkpoint.load_start(runs / "tiers" / "ema.safetensors")
    sizes = {tier: len(words) for tier, words in start.codebooks.items()}
    assert sizes == {tier: 2 ** (tier + 2) for tier in range(1, 10)}
    norms = start.codebooks[3].norm(dim=1)
    assert torch.allclose(norms, torch.tensor(2.0), atol=1e-4)
    base = checkpoint.load_start(runs / "base" / "ema.safetensors").base
    assert start.base is not None
    assert base is not None
    assert torch.equal(start.base, base)
    untuned = checkpoint.load_start(runs / "tiers" / "start.safetensors")
    assert untuned.codebooks.keys() == start.codebooks.keys()


def test_a_resumed_run_equals_one_that_was_not_stopped(
    runs: Path, photos: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(runs / "recipe.toml")
    start = runs / "tiers" / "ema.safetensors"
    whole = _trainer(start, recipe, photos, tmp_path / "whole")
    halves = _trainer(start, recipe, photos, tmp_path / "halves")
    for trainer, shares in ((whole, (0.1, 0.2, 0.3, 0.4)), (halves, (0.1, 0.2))):
        torch.manual_seed(1)
        for share in shares:
            trainer._step(share)
    halves.spent = 20.0
    halves.save()
    again = _trainer(start, recipe, photos, tmp_path / "halves")
    again.resume(tmp_path / "halves" / "last.pt")
    assert (again.step, again.spent) == (2, 20.0)
    for share in (0.3, 0.4):
        again._step(share)
    assert again.step == whole.step == 4
    ours, theirs = again.state()["model"], whole.state()["model"]
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    ours, theirs = again.state()["ema"], whole.state()["ema"]
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_stage_1_resumes_after_its_codebook_was_fitted(runs: Path, photos: Path) -> None:
    said: list[str] = []
    before = checkpoint.load_last(runs / "base" / "last.pt")
    machine = stages.Machine(
        photos, runs, runs / "base", minutes=0.02, say=said.append, is_resumed=True
    )
    stages.train_tokenizer(load_recipe(runs / "recipe.toml"), machine)
    assert any(f"resumed at step {before['step']}," in line for line in said)
    after = checkpoint.load_last(runs / "base" / "last.pt")
    assert after["step"] == before["step"]  # the budget was spent already
    assert all(torch.equal(after["model"][key], value) for key, value in before["model"].items())


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    runs: Path, photos: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(runs / "recipe.toml")
    trainer = _trainer(runs / "tiers" / "ema.safetensors", recipe, photos, tmp_path / "run")
    trainer.save()
    kept = (tmp_path / "run" / "ema.safetensors").read_bytes()
    with torch.no_grad():
        trainer.model.net.decoder.out.bias.fill_(torch.nan)
    with pytest.raises(VqcError, match="not finite"):
        trainer.run(1000)
    assert (tmp_path / "run" / "ema.safetensors").read_bytes() == kept
    assert checkpoint.load_last(tmp_path / "run" / "last.pt")["step"] == 0


def test_the_export_is_a_pack_that_loads(runs: Path, photos: Path, tmp_path: Path) -> None:
    recipe = load_recipe(runs / "recipe.toml")
    start = checkpoint.load_start(runs / "tiers" / "ema.safetensors")
    export(start, recipe, photos, tmp_path / "pack", n_photos=2, training={"hours": 0.5})
    pack = store.find(tmp_path / "pack")
    pack.check()
    manifest = tomllib.loads((tmp_path / "pack" / "manifest.toml").read_text())
    assert manifest["summary"] == 'a test "with" quotes'
    assert manifest["training"] == {"sources": "made up", "hours": 0.5, "frequency_photos": 2}
    for tier in range(1, 10):
        table = pack.frequencies(tier)
        assert table.dtype == np.uint16
        assert int(table.sum(dtype=np.int64)) == 2**16
        assert table.min() >= 1
    nets = load(pack, device="cpu")
    rows = measure(nets, photos, runs, tiers=[1, 9], crop_px=64, metrics=[])
    assert [(row.tier, row.codebook_size, row.n_photos) for row in rows] == [
        *((1, 8, 3), (9, 2048, 3))
    ]
    assert 0 < rows[0].used_share <= 1
    assert 0 <= rows[0].entropy_bits <= 3


def test_an_export_needs_all_tiers(runs: Path, photos: Path, tmp_path: Path) -> None:
    start = checkpoint.load_start(runs / "base" / "ema.safetensors")
    with pytest.raises(InputError, match="tiers"):
        export(start, load_recipe(runs / "recipe.toml"), photos, tmp_path / "pack")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip"])
def test_broken_checkpoints_are_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"last\.pt"):
        checkpoint.load_last(path)
    with pytest.raises(InputError, match="safetensors"):
        checkpoint.load_start(path)


def test_the_commands_run(runs: Path, photos: Path, tmp_path: Path) -> None:
    run: Callable[..., object] = CliRunner().invoke
    recipe = str(runs / "recipe.toml")
    common = ["--recipe", recipe, "--data", str(photos)]
    more = ["--weights", str(runs), "--minutes", "0.001", "--out", str(tmp_path / "run")]
    judged = ["--weights", str(runs), "--metrics", "", "--json"]
    ema = str(runs / "tiers" / "ema.safetensors")
    for arguments in (
        ["tiers", *common, *more, "--start", ema],
        ["tiers", *common, *more, "--start", ema, "--resume"],
        ["export", *common, "--start", ema, "--out", str(tmp_path / "pack"), "--photos", "1"],
        ["measure", str(tmp_path / "pack"), "--data", str(photos), "--tiers", "2", *judged],
    ):
        result = run(train, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert '"tier": 2' in result.output
