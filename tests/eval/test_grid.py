"""Contact sheets, with the pack of random weights on pictures by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from eval import grid, sheet
from eval.__main__ import main

SIDE = grid.CROP_PX
SHAPES = {"a": (390, 440), "b": (430, 391), "c": (384, 384), "d": (400, 385), "e": (90, 120)}
HEAD = sheet.MARGIN_PX + sheet.TITLE_PX + sheet.NOTE_PX + 56
CAPTION = sheet.HEADING_PX + sheet.NOTE_PX + 44
WIDTH = 2 * sheet.MARGIN_PX + 4 * SIDE + 3 * sheet.GAP_PX


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """Waves so short that a crop one pixel off would show; (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    waves = 90 + 60 * np.sin(x / 3) + 40 * np.sin(y / 4 + x * y / 4000)
    return np.stack([waves, waves + 40, waves / 2 + width / 8], -1).astype(np.uint8)


def grid_of(photos: Path, out: Path, pack: Path, tiers: str) -> Result:
    arguments = ["--data", photos, "--out", out, "--model", pack, "--tiers", tiers]
    return CliRunner(env={"VQCODEC_DATA": ""}).invoke(main, ["grid", *map(str, arguments)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, shape in SHAPES.items():
        Image.fromarray(picture(*shape)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def made(photos: Path, tiny_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "sheets"
    done = grid_of(photos, out, tiny_pack, "1,8")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == str(out / "original.jpg")
    assert lines[2].startswith(f"{out / 'tier-8.jpg'}: mean 0.")
    return out


def place_of(path: Path, number: int) -> NDArray[np.int16]:
    """What a sheet shows at a place, counted from left to right and top to bottom."""
    row, column = divmod(number, 4)
    left = sheet.MARGIN_PX + column * (SIDE + sheet.GAP_PX)
    top = HEAD + row * (SIDE + CAPTION + sheet.GAP_PX)
    with Image.open(path) as image:
        return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), np.int16)


def distance(shown: NDArray[np.int16], pixels: NDArray[np.uint8]) -> float:
    return float(np.abs(shown - pixels).mean())


def test_there_is_one_sheet_per_tier_and_one_of_the_originals(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == [
        "original.jpg", "tier-1.jpg", "tier-8.jpg",
    ]  # fmt: skip
    height = HEAD + 2 * (SIDE + CAPTION) + sheet.GAP_PX + sheet.MARGIN_PX // 2
    for path in made.iterdir():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (WIDTH, height))
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # 4:4:4


@pytest.mark.parametrize(("number", "name"), list(enumerate("abcd")))
def test_a_place_shows_the_centre_of_the_picture(number: int, name: str, made: Path) -> None:
    height, width = SHAPES[name]
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    crop = picture(height, width)[top : top + SIDE, left : left + SIDE]
    shown = place_of(made / "original.jpg", number)
    assert distance(shown, crop) < 4
    assert distance(shown, np.roll(crop, 1, axis=1)) > 7
    assert distance(shown, np.roll(crop, 1, axis=0)) > 7


@pytest.mark.parametrize("tier", [1, 8])
def test_a_place_shows_what_decodes_from_the_whole_picture(
    tier: int, made: Path, tiny_pack: Path
) -> None:
    model = str(tiny_pack)
    decoded = vqcodec.decode(
        vqcodec.encode(picture(*SHAPES["a"]), tier=tier, model=model), model=model
    )
    crop = decoded[3 : 3 + SIDE, 28 : 28 + SIDE]
    shown = place_of(made / f"tier-{tier}.jpg", 0)
    # Random weights make noise, on which JPEG errs by 6 of 255; one pixel off it is 15 and more.
    assert distance(shown, crop) < 8
    assert distance(shown, np.roll(crop, 1, axis=0)) > 12
    assert distance(shown, np.roll(crop, 1, axis=1)) > 12
    assert distance(shown, picture(*SHAPES["a"])[3 : 3 + SIDE, 28 : 28 + SIDE]) > 30


def test_a_small_picture_is_whole_on_paper(made: Path) -> None:
    shown = place_of(made / "original.jpg", 4)
    assert distance(shown[:90, :120], picture(90, 120)) < 6
    assert shown[100:, 130:].min() > 250


def test_kodak_is_taken_by_name_and_another_folder_from_the_front(tmp_path: Path) -> None:
    for number in range(1, 25):
        (tmp_path / f"kodim{number:02}.png").touch()
    assert tuple(path.name for path in grid.choose(tmp_path)) == grid.KODAK
    (tmp_path / "kodim23.png").unlink()
    found = [path.name for path in grid.choose(tmp_path)]
    assert found == [f"kodim{number:02}.png" for number in range(1, 9)]


def test_sheets_of_an_earlier_run_are_replaced(tmp_path: Path, tiny_pack: Path) -> None:
    Image.fromarray(picture(40, 50)).save(tmp_path / "one.png")
    done = grid_of(tmp_path, tmp_path / "out", tiny_pack, "3")
    assert done.exit_code == 0, done.output
    (tmp_path / "out" / "tier-3.jpg").write_bytes(b"")
    assert grid_of(tmp_path, tmp_path / "out", tiny_pack, "3").exit_code == 0
    with Image.open(tmp_path / "out" / "tier-3.jpg") as image:
        assert image.width == WIDTH


def test_missing_images_and_packs_are_said_in_a_line(tmp_path: Path, photos: Path) -> None:
    done = grid_of(tmp_path, tmp_path / "out", tmp_path, "8")
    assert (done.exit_code, done.stderr) == (1, f"Error: no image in {tmp_path}\n")
    done = grid_of(photos, tmp_path / "out", tmp_path / "no-pack", "8")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert "no-pack" in done.stderr
    assert not (tmp_path / "out").exists()
