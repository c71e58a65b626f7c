"""A tiny run from photos to a pack: stages, checkpoints, resume, guards, export, measure."""

from __future__ import annotations

import os
import shutil
import signal
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vqcodec.errors import InputError, OutputExistsError, VqcError
from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.training import checkpoint, stages
from vqcodec.training.export import export
from vqcodec.training.machine import Machine
from vqcodec.training.measure import measure
from vqcodec.training.recipe import Recipe, load_recipe
from vqcodec.training.world import World


def _machine(out: Path, photos: Path, **more: Any) -> Machine:
    """Two steps of each stage on one thread, silently."""
    options = {"steps": 2, "say": lambda _: None, "world": World("cpu", "float32")} | more
    return Machine([photos], out.parent, out, **options)


def _weights(run: Path) -> dict[str, Tensor]:
    return checkpoint.load_last(run / "tiers" / "last.pt")["model"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A run of all three stages."""
    from .conftest import RECIPE

    folder = tmp_path_factory.mktemp("runs")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    recipe = load_recipe(folder / "recipe.toml")
    stages.run_stages(recipe, _machine(folder / "run", photos, steps=4))
    return folder / "run"


@pytest.fixture(scope="module")
def recipe(run: Path) -> Recipe:
    """The tiny recipe, from the run's copy."""
    return load_recipe(run / "recipe.toml")


@pytest.mark.parametrize("stage", ["base", "adversarial"])
def test_the_first_stages_give_a_base_codebook(run: Path, stage: str) -> None:
    start = checkpoint.load_start(run / stage / "ema.safetensors")
    assert start.base is not None
    assert start.base.shape == (2304, 4)
    assert start.codebooks == {}


def test_the_last_stage_gives_nine_tiers_on_the_sphere(run: Path) -> None:
    start = checkpoint.load_start(checkpoint.find_start(run))
    sizes = {tier: len(words) for tier, words in start.codebooks.items()}
    assert sizes == {tier: 2 ** (tier + 2) for tier in range(1, 10)}
    norms = start.codebooks[3].norm(dim=1)
    assert torch.allclose(norms, torch.tensor(2.0), atol=1e-4)
    before = checkpoint.load_start(run / "adversarial" / "ema.safetensors").base
    assert start.base is not None
    assert before is not None
    assert torch.equal(start.base, before)
    untuned = checkpoint.load_start(run / "tiers" / "start.safetensors")
    assert untuned.codebooks.keys() == start.codebooks.keys()


def test_a_resumed_run_equals_one_that_was_not_stopped(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    start = {"start": run / "adversarial", "steps": 5}
    stages.run_stages(recipe, _machine(tmp_path / "whole", photos, **start), ("tiers",))

    machine = _machine(tmp_path / "halves", photos, **start)
    (tmp_path / "halves" / "tiers").mkdir(parents=True)
    (tmp_path / "halves" / "recipe.toml").write_text(recipe.text, encoding="utf-8")
    trainer = stages.trainer_for("tiers", recipe, machine)
    for step in range(2):  # the schedule is that of five steps
        trainer.train_step(step / 5)
    trainer.save()
    stages.run_stages(recipe, replace(machine, is_resumed=True), ("tiers",))

    ours, theirs = (
        checkpoint.load_last(tmp_path / name / "tiers" / "last.pt") for name in ("halves", "whole")
    )
    assert ours["step"] == theirs["step"] == 5
    for part in ("model", "ema", "critic", "lecam"):
        assert all(torch.equal(ours[part][key], theirs[part][key]) for key in theirs[part]), part


def test_a_stopped_run_is_saved_after_its_step(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    machine = _machine(tmp_path / "run", photos, start=run / "adversarial", steps=50)
    (tmp_path / "run" / "tiers").mkdir(parents=True)
    trainer = stages.trainer_for("tiers", recipe, machine)
    step = trainer.train_step

    def step_and_stop(share: float) -> dict[str, float]:
        figures = step(share)
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return figures

    trainer.train_step = step_and_stop
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(None, 50)
    assert signal.getsignal(signal.SIGTERM) is before
    assert checkpoint.load_last(tmp_path / "run" / "tiers" / "last.pt")["step"] == 2


def test_a_run_is_never_overwritten(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    kept = (run / "tiers" / "ema.safetensors").read_bytes()
    with pytest.raises(OutputExistsError, match="--resume"):
        stages.run_stages(recipe, _machine(run, photos))
    other = tmp_path / "other.toml"
    other.write_text(recipe.text.replace("seed = 4", "seed = 5"), encoding="utf-8")
    with pytest.raises(OutputExistsError, match="another recipe"):
        stages.run_stages(load_recipe(other), _machine(run, photos, is_resumed=True))
    assert (run / "tiers" / "ema.safetensors").read_bytes() == kept


def test_a_run_that_never_began_may_be_tried_again(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    machine = _machine(tmp_path / "run", photos, start=run)
    with pytest.raises(InputError, match="not found"):
        stages.run_stages(recipe, replace(machine, data=[tmp_path / "none"]), ("tiers",))
    stages.run_stages(recipe, machine, ("tiers",))
    assert checkpoint.load_last(tmp_path / "run" / "tiers" / "last.pt")["step"] == 2


def test_done_stages_are_skipped_and_longer_budgets_go_on(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    said: list[str] = []
    machine = _machine(tmp_path / "run", photos, steps=4, is_resumed=True, say=said.append)
    stages.run_stages(recipe, machine)
    assert [line.split(":")[1] for line in said] == [" done before (4 steps)"] * 3
    last = tmp_path / "run" / "tiers" / "last.pt"
    checkpoint.save_last(last, {**checkpoint.load_last(last), "spent": 90.0})
    stages.run_stages(recipe, replace(machine, steps=5), ("tiers",))
    assert "resumed at step 4, 1.5 minutes spent" in said
    after = checkpoint.load_last(last)
    assert after["step"] == 5
    assert after["spent"] > 90, "the time of both runs counts"


def test_the_tokenizer_resumes_after_its_codebook_was_fitted(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    before = checkpoint.load_last(run / "base" / "last.pt")
    machine = _machine(tmp_path / "run", photos, steps=5, is_resumed=True)
    trainer = stages.trainer_for("base", recipe, machine)
    trainer.resume(tmp_path / "run" / "base" / "last.pt")
    state = trainer.state()["model"]
    assert trainer.step == 4
    assert all(torch.equal(state[key], value) for key, value in before["model"].items())


@pytest.mark.parametrize(("tune", "learns"), [("decoder", "decoder"), ("codebooks", "books")])
def test_only_what_is_tuned_learns(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path, tune: str, learns: str
) -> None:
    stage = replace(recipe.stages["tiers"], tune=tune, warmup_steps=0)
    tuned = replace(recipe, stages={"tiers": stage})
    machine = _machine(tmp_path / "run", photos, start=run)
    stages.run_stages(tuned, machine)
    before, after = _start_state(run), _start_state(tmp_path / "run")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert any(learns in key for key in changed)
    assert not any(".encoder." in key for key in changed)
    assert tune == "decoder" or not any(".decoder." in key for key in changed)


def _start_state(run: Path) -> dict[str, Tensor]:
    model = checkpoint.load_start(checkpoint.find_start(run)).tokenizer()
    return model.state_dict()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    machine = _machine(tmp_path / "run", photos, start=run)
    (tmp_path / "run" / "tiers").mkdir(parents=True)
    trainer = stages.trainer_for("tiers", recipe, machine)
    trainer.save()
    kept = (tmp_path / "run" / "tiers" / "ema.safetensors").read_bytes()
    with torch.no_grad():
        trainer.model.net.decoder.out.bias.fill_(torch.nan)
    with pytest.raises(VqcError, match="not finite"):
        trainer.run(None, 1000)
    assert (tmp_path / "run" / "tiers" / "ema.safetensors").read_bytes() == kept


def test_a_loss_that_explodes_stops_and_keeps_the_checkpoint(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    machine = _machine(tmp_path / "run", photos, start=run)
    (tmp_path / "run" / "tiers").mkdir(parents=True)
    trainer = stages.trainer_for("tiers", recipe, machine)
    trainer.train_step(0.0)
    trainer.save()
    kept = (tmp_path / "run" / "tiers" / "last.pt").read_bytes()
    with torch.no_grad():
        trainer.model.net.decoder.out.bias.fill_(9.0)
    trainer.stage = replace(trainer.stage, learning_rate=1e-9)  # or it would mend itself

    def train_and_save() -> None:
        for _ in range(99):
            trainer.train_step(0.5)
            trainer.save()

    with pytest.raises(VqcError, match="exploded"):
        train_and_save()
    assert (tmp_path / "run" / "tiers" / "last.pt").read_bytes() == kept


def test_the_export_is_a_pack_that_loads(
    run: Path, recipe: Recipe, photos: Path, tmp_path: Path
) -> None:
    start = checkpoint.load_start(checkpoint.find_start(run))
    more = {"n_photos": 2, "training": {"hours": 0.5}}
    export(start, recipe, [photos], tmp_path / "pack", **more)
    pack = store.find(tmp_path / "pack")
    pack.check()
    manifest = tomllib.loads((tmp_path / "pack" / "manifest.toml").read_text())
    assert manifest["summary"] == 'a test "with" quotes'
    assert manifest["training"] == {"sources": "made up", "hours": 0.5, "frequency_photos": 2}
    assert pack.digest in (tmp_path / "pack" / "CARD.md").read_text()
    for tier in range(1, 10):
        table = pack.frequencies(tier)
        assert table.dtype == np.uint16
        assert int(table.sum(dtype=np.int64)) == 2**16
        assert table.min() >= 1
    nets = load(pack, device="cpu")
    rows = measure(nets, photos, run, tiers=[1, 9], crop_px=64, metrics=[])
    assert [(row.tier, row.codebook_size, row.n_photos) for row in rows] == [
        *((1, 8, 3), (9, 2048, 3))
    ]
    assert 0 < rows[0].used_share <= 1
    assert 0 <= rows[0].entropy_bits <= 3
    with pytest.raises(OutputExistsError, match="--force"):
        export(start, recipe, [photos], tmp_path / "pack", **more)


def test_an_export_needs_all_tiers(run: Path, recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    start = checkpoint.load_start(run / "base" / "ema.safetensors")
    with pytest.raises(InputError, match="tiers"):
        export(start, recipe, [photos], tmp_path / "pack")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip"])
def test_broken_checkpoints_are_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"last\.pt"):
        checkpoint.load_last(path)
    with pytest.raises(InputError, match="safetensors"):
        checkpoint.load_start(path)


def test_weights_are_found_by_run_stage_pack_and_file(
    run: Path, tiny_pack: Path, tmp_path: Path
) -> None:
    tiers = run / "tiers" / "ema.safetensors"
    assert checkpoint.find_start(run) == tiers
    assert checkpoint.find_start(str(tiers)) == tiers
    assert checkpoint.find_start(run / "base") == run / "base" / "ema.safetensors"
    assert checkpoint.find_start(tiny_pack) == tiny_pack / "weights.safetensors"
    with pytest.raises(InputError, match="neither a run nor a model pack"):
        checkpoint.find_start(tmp_path)


def test_a_stage_needs_what_comes_before_it(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--from"):
        stages.run_stages(recipe, _machine(tmp_path / "run", photos), ("tiers",))
    lone = replace(recipe, stages={"tiers": recipe.stages["tiers"]})
    with pytest.raises(InputError, match=r"no table \[adversarial\]"):
        stages.run_stages(lone, _machine(tmp_path / "run", photos), ("adversarial",))
