"""Which file comes out for which size, with codecs whose sizes are known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.codecs import pillow, search
from eval.codecs.base import CodecError
from tests.eval.codecs.conftest import Pixels, make_picture

Save = Callable[..., Path]


@dataclass
class Fake:
    """Writes files of given sizes, which say of which setting and size they are."""

    size: Callable[[int, int, int], int]  # of setting, height, width
    settings: Sequence[int] = tuple(range(1, 51))
    name: str = "fake"
    identity: str = "fake"
    suffix: str = ".fake"
    knob: str = "level"
    coded: list[tuple[int, int, int]] = field(default_factory=list)
    n_decoded: int = 0

    def encode(self, picture: Path, setting: float, coded: Path) -> None:
        with Image.open(picture) as image:
            width, height = image.size
        self.coded.append((int(setting), height, width))
        text = f"{setting:g} {height} {width} ".encode()
        coded.write_bytes(text.ljust(self.size(int(setting), height, width), b"-"))

    def decode(self, coded: Path, height: int, width: int) -> Pixels:
        self.n_decoded += 1
        setting, *sides = coded.read_bytes().split()[:3]
        assert [int(side) for side in sides] == [height, width]
        return np.full((height, width, 3), int(setting), np.uint8)


def run(
    codec: Fake, save_picture: Save, tmp_path: Path, budgets: Sequence[int], shape=(100, 75)
) -> list[search.Coded]:
    pixels = make_picture(*shape)
    folder = tmp_path / "files"
    found = list(search.at_budgets(codec, save_picture(pixels), pixels, budgets, folder))
    for point in found:
        data = point.path.read_bytes()
        assert point.size_bytes == len(data) <= budgets[point.point - 1]
        assert point.sha256 == hashlib.sha256(data).hexdigest()[:16]
        assert point.pixels.shape == pixels.shape
        setting = int(data.split()[0])
        assert point.setting == f"level {setting}"
        assert np.all(point.pixels == setting)
        curve = point.codec.replace("/", "_")
        assert point.path == folder / curve / f"photo-{point.point}.fake"
        assert point.encode_s > 0 < point.decode_s
        assert point.overhead_bytes is None
    assert len(list(folder.rglob("*.*"))) == len(found)
    assert len(codec.coded) == len(set(codec.coded))  # no setting is coded twice
    return found


@pytest.mark.parametrize("budgets", [(30, 55, 70, 1000, 10_000), (10_000, 70, 30, 1000, 55)])
def test_the_largest_file_within_each_budget(
    save_picture: Save, tmp_path: Path, budgets: tuple[int, ...]
) -> None:
    codec = Fake(lambda setting, height, width: 20 * setting)
    found = run(codec, save_picture, tmp_path, budgets)
    assert [point.codec for point in found] == ["fake"] * 5
    assert [point.point for point in found] == [1, 2, 3, 4, 5]
    best = {30: 1, 55: 2, 70: 3, 1000: 50, 10_000: 50}
    assert [point.setting for point in found] == [f"level {best[b]}" for b in budgets]


def test_every_budget_finds_its_file_and_few_are_coded(save_picture: Save, tmp_path: Path) -> None:
    for budget in (20, 21, 39, 40, 41, 519, 520, 999, 1000):
        codec = Fake(lambda setting, height, width: 20 * setting)
        (point,) = run(codec, save_picture, tmp_path, [budget])
        assert point.setting == f"level {budget // 20}"
        assert len(codec.coded) <= 11


def test_files_of_high_settings_are_not_coded_in_vain(save_picture: Save, tmp_path: Path) -> None:
    codec = Fake(lambda setting, height, width: 20 * setting)
    run(codec, save_picture, tmp_path, (40, 60, 80))
    assert max(codec.coded)[0] <= 7


def test_a_file_that_serves_two_points_is_decoded_once(save_picture: Save, tmp_path: Path) -> None:
    codec = Fake(lambda setting, height, width: 100 * setting)
    found = run(codec, save_picture, tmp_path, (100, 110, 199, 200))
    assert [point.setting for point in found] == ["level 1"] * 3 + ["level 2"]
    assert len({point.sha256 for point in found}) == 2
    assert found[0].path != found[1].path
    assert codec.n_decoded == 2


def test_curves_are_scaled_down_until_one_reaches_every_budget(
    save_picture: Save, tmp_path: Path
) -> None:
    codec = Fake(lambda setting, height, width: height * width // 50 * setting)
    found = run(codec, save_picture, tmp_path, (8, 40, 160), shape=(101, 75))
    curves: dict[str, list[int]] = {}
    for point in found:
        curves.setdefault(point.codec, []).append(point.point)
    # Smallest files: 101x75 -> 151, 51x38 -> 38, 26x19 -> 9; the last 13x10 is below 16 pixels.
    assert curves == {"fake": [3], "fake/2": [2, 3], "fake/4": [2, 3]}
    sides = {codec_sides[1:] for codec_sides in codec.coded}
    assert sides == {(101, 75), (51, 38), (26, 19)}


def test_no_further_scale_than_needed(save_picture: Save, tmp_path: Path) -> None:
    codec = Fake(lambda setting, height, width: height * width // 50 * setting)
    found = run(codec, save_picture, tmp_path, (40, 160))
    assert [(point.codec, point.point) for point in found] == [
        ("fake", 2),
        ("fake/2", 1),
        ("fake/2", 2),
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (30, 31), (31, 200)])
def test_a_small_picture_is_not_scaled_below_16_pixels(
    save_picture: Save, tmp_path: Path, shape: tuple[int, int]
) -> None:
    codec = Fake(lambda setting, height, width: 100)
    assert run(codec, save_picture, tmp_path, (50,), shape=shape) == []
    least = min(min(height, width) for _, height, width in codec.coded)
    assert least >= min(16, *shape)
    assert len(codec.coded) == (2 if shape == (31, 200) else 1)


@pytest.mark.parametrize("seed", range(20))
def test_sizes_without_order_never_break_a_budget(
    save_picture: Save, tmp_path: Path, seed: int
) -> None:
    sizes = np.random.default_rng(seed).integers(20, 400, 51).tolist()
    codec = Fake(lambda setting, height, width: sizes[setting])
    found = run(codec, save_picture, tmp_path, (5, 90, 150, 390))  # it checks them
    # What comes out is the best of all that was coded.
    for point in found:
        tried = [sizes[setting] for setting, *sides in codec.coded if sides == [100, 75]]
        if point.codec == "fake":
            budget = (5, 90, 150, 390)[point.point - 1]
            assert point.size_bytes == max(size for size in tried if size <= budget)


def test_of_files_of_one_size_the_later_setting_counts(save_picture: Save, tmp_path: Path) -> None:
    codec = Fake(lambda setting, height, width: 100 * (1 + setting // 4))
    (point,) = run(codec, save_picture, tmp_path, (100,))
    assert point.setting == "level 3"


def test_failures_pass(save_picture: Save, tmp_path: Path) -> None:
    def fail(setting: int, height: int, width: int) -> int:
        raise CodecError("fake: broken")

    with pytest.raises(CodecError, match="fake: broken"):
        run(Fake(fail), save_picture, tmp_path, (100,))


@pytest.mark.parametrize("name", ["jpeg", "jp2k", "webp", "avif"])
def test_real_codecs(name: str, save_picture: Save, tmp_path: Path) -> None:
    codec = pillow.load(name)
    noise = np.random.default_rng(1).integers(0, 30, (101, 143, 1), np.uint8)
    pixels = (make_picture(101, 143) // 2 + noise).astype(np.uint8)
    budgets = (400, 600, 1000)
    found = list(search.at_budgets(codec, save_picture(pixels), pixels, budgets, tmp_path / "f"))
    last = [point for point in found if point.codec == found[-1].codec]
    assert [point.point for point in last] == [1, 2, 3]
    for point in found:
        assert point.path.stat().st_size == point.size_bytes <= budgets[point.point - 1]
        scale = int(point.codec.partition("/")[2] or 1)
        again = search.decoded(codec, point.path, scale, 101, 143)
        assert np.array_equal(again, point.pixels)
    errors = [np.mean(np.abs(point.pixels.astype(int) - pixels)) for point in last]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 25
