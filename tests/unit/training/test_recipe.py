"""Recipes: what is read, and that a misspelt key is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqcodec.errors import InputError
from vqcodec.training.recipe import find_recipe, load_recipe


def test_a_recipe_is_read_with_defaults_for_the_rest(recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    assert recipe.name == "test-1"
    assert recipe.net_config["latent_dim"] == 4
    assert [recipe.stages[key].crop_px for key in ("base", "adversarial", "tiers")] == [32, 32, 64]
    assert recipe.stages["base"].learning_rate == 2e-4
    assert recipe.codebooks.base_size == 2304
    assert recipe.training == {"sources": "made up"}
    assert recipe.restorer is not None
    assert (recipe.restorer.width, recipe.restorer.paint_from) == (32, 0.5)
    assert recipe.restorer.learning_rate == 2e-3


def test_the_released_recipes_are_read(root: Path) -> None:
    paths = sorted((root / "models" / "recipes").glob("*.toml"))
    assert paths
    for path in paths:
        recipe = load_recipe(find_recipe(path.stem))
        assert recipe.stages
        assert recipe.text == path.read_text(encoding="utf-8")
    with pytest.raises(InputError, match="fine-tune"):
        find_recipe("no-such-recipe")


def test_the_recipes_of_experiments_are_read(root: Path) -> None:
    paths = sorted((root / "docs" / "experiments" / "recipes").glob("*.toml"))
    assert paths
    assert all(load_recipe(path).name == path.stem for path in paths)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("nam = 1", "nam"),
        ("[base]\nlearningrate = 1", "learningrate"),
        ("[base]\nlearning_rate = 'x'", "learning_rate"),
        ("[base]\nbatch = 1.5", "batch"),
        ("[base]\nbatch = true", "batch"),
        ("[net]\nkinds = 'light'", "kinds"),
        ("[tiers]\nperceptual = { alex = 1 }", "alex"),
        ("[tiers]\ntune = 'encoder'", "everything"),
        ("[tiers]\ncritic = 1\ncritic_on = 'vgg19'", "perceptual"),
        ("[tiers]\ncritic_on = 'alex'", "alex"),
        ("[tiers]\ncrop_px = 100", "multiple of 16"),
        ("[tiers]\ncritic_window_px = 256", "window"),
        ("[tier]\nbatch = 9", "tier"),
        ("[restorer]\nwidth = 33", r"\[restorer\]: width 33 is no multiple of 32"),
        ("[restorer]\nwidth = 0", "multiple of 32"),
        ("[restorer]\nblocks = 0", "blocks"),
        ("[restorer]\nphotos = 0", "photos"),
        ("[restorer]\nminutes = -1", "minutes"),
        ("[restorer]\ncrop = 8", "paint_crop must be 1 to crop"),
        ("[restorer]\npaint_batch = 0", "paint_batch"),
        ("[restorer]\nhidden = 3", "unknown key 'hidden'"),
        ("[restorer]\nwidth = 32.5", "width"),
        ("[restorer]\npaint_from = 'late'", "paint_from"),
        ("[[[", "TOML"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path: Path, change: str, word: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(f"name = 'x'\n{change}\n", encoding="utf-8")
    with pytest.raises(InputError, match=word):
        load_recipe(path)


def test_a_recipe_needs_a_name_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="recipe"):
        load_recipe(tmp_path / "no-recipe.toml")
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(InputError, match="name"):
        load_recipe(tmp_path / "empty.toml")
