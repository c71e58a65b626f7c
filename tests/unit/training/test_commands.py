"""The commands of `vqcodec train`, on a tiny recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from vqcodec.cli.train import train
from vqcodec.errors import InputError, OutputExistsError
from vqcodec.nets.restoring import load_restorer
from vqcodec.packs import store


def _train(*arguments: object) -> Result:
    # The group itself rather than the program: exceptions come through instead of exit codes.
    return CliRunner().invoke(train, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, photos: Path, squeeze: Path) -> Path:
    """A run of `train all`."""
    from .conftest import RECIPE

    folder = tmp_path_factory.mktemp("commands")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "val").mkdir()
    Image.effect_noise((272, 256), 50).convert("RGB").save(folder / "val" / "0.png")
    _train("all", "--out", folder / "run", "--name", "mine", *_common(folder, photos, squeeze))
    return folder / "run"


def _common(folder: Path, photos: Path, weights: Path) -> list[object]:
    given = ["--recipe", folder / "recipe.toml", "--data", photos, "--weights", weights]
    return [*given, "--steps", 2, "--precision", "float32", "--val", folder / "val"]


def test_all_makes_a_whole_pack(run: Path) -> None:
    pack = store.find(run / "mine")
    pack.check()
    pack.check_restorer()
    assert pack.name == "mine"
    assert {path.name for path in pack.path.iterdir()} == {
        *("CARD.md", "manifest.toml", "weights.safetensors", "restorer.safetensors")
    }
    assert pack.context_tiers() == list(range(1, 10))
    assert load_restorer(pack, device="cpu").net.config == {"width": 32, "blocks": 1, "learned": 2}


def test_all_resumes_and_writes_what_is_missing(run: Path, photos: Path, squeeze: Path) -> None:
    before = store.find(run / "mine")
    for name in ("weights.safetensors", "restorer.safetensors"):
        (run / "mine" / name).write_bytes(b"")
    common = _common(run.parent, photos, squeeze)
    result = _train("all", "--out", run, "--name", "mine", *common, "--resume")
    assert result.stderr.count("done before (2 steps)") == 3
    after = store.find(run / "mine")
    after.check()
    after.check_restorer()
    assert (after.digest, after.manifest.restorer) == (before.digest, before.manifest.restorer)
    with pytest.raises(OutputExistsError, match="--resume"):
        _train("all", "--out", run, "--name", "mine", *common)


def test_what_judges_the_restorer_is_missed_before_the_run(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    common = _common(run.parent, photos, tmp_path)
    with pytest.raises(InputError, match="squeeze"):
        _train("all", "--out", tmp_path / "run", *common)
    assert not (tmp_path / "run").exists()


def test_a_model_is_tuned_by_its_folder_alone(run: Path, photos: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "tuned"\n[tiers]\ncrop_px = 32\nbatch = 3\n', encoding="utf-8")
    given = ["--data", photos, "--data", photos / "0.png", "--weights", tmp_path, "--steps", 2]
    tuned = tmp_path / "tuned"
    result = _train("tiers", "--from", run / "mine", "--recipe", recipe, *given, "--out", tuned)
    assert "4 photos" in result.stderr
    named = ["--name", "tuned", "--data", photos, "--out", tmp_path, "--photos", 1]
    with pytest.raises(OutputExistsError, match="--force"):
        _train("export", tuned, *named[:4], "--out", run, "--name", "mine")
    result = _train("export", tuned, *named[:1], "fine", *named[2:], "--note", "hours=0.1")
    pack = store.find(tmp_path / "fine")
    assert pack.manifest.training["hours"] == "0.1"
    assert pack.digest != store.find(run / "mine").digest


def test_runs_are_averaged_and_measured(run: Path, photos: Path, tmp_path: Path) -> None:
    mean = tmp_path / "mean.safetensors"
    _train("average", run, run / "tiers", "--out", mean)
    given = ["--data", photos, "--weights", tmp_path, "--metrics", "", "--tiers", "2", "--json"]
    for model in (mean, run, run / "mine"):
        result = _train("measure", model, *given)
        assert json.loads(result.stdout)["tier"] == 2
    result = _train("measure", run / "base", *given)
    assert json.loads(result.stdout)["name"] == "base"
    with pytest.raises(InputError, match="--recipe"):
        _train("export", mean, "--name", "x", "--data", photos, "--out", tmp_path)


def test_a_profile_names_every_part(run: Path, photos: Path, tmp_path: Path) -> None:
    given = ["--recipe", run / "recipe.toml", "--data", photos, "--weights", tmp_path]
    for stage in ("base", "tiers"):
        more = ["--from", run] if stage == "tiers" else []
        result = _train("profile", *given, "--stage", stage, "--steps", 2, "--json", *more)
        measured = json.loads(result.stdout)
        assert set(measured["shares"]) == {"data", "network", "judge", "critic", "update"}
        assert sum(measured["shares"].values()) == pytest.approx(1)
        assert measured["images_per_s"] > 0
        assert (measured["shares"]["critic"] > 0) == (stage == "tiers")
    assert measured["photo_bytes"] == 3 * 96 * 160 * 3


def test_pictures_and_scalars_are_drawn(run: Path) -> None:
    assert list((run / "tiers" / "pictures").glob("*.png"))
    assert "recipe.toml" in {path.name for path in run.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["tiers", "--minutes", "1", "--steps", "1"], "exclude"),
        (["all", "--steps", "0"], "steps"),
        (["tokenizer", "--precision", "half"], "precision"),
    ],
)
def test_wrong_options_are_told(run: Path, photos: Path, arguments: list[str], word: str) -> None:
    given = ["--recipe", run / "recipe.toml", "--data", photos, "--weights", run, "--out", run]
    result = CliRunner().invoke(train, [*arguments[:1], *map(str, given), *arguments[1:]])
    assert result.exit_code == 2
    assert word in result.stderr
