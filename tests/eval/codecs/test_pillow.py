"""Pillow's codecs and its plugins', for real."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from eval import codecs
from eval.codecs import pillow
from eval.codecs.pillow import PillowCodec
from tests.eval.codecs.conftest import Pixels, make_picture, through_a_pipe

NAMES = sorted(pillow.SPECS)
Save = Callable[..., Path]


@pytest.fixture
def codec(request: pytest.FixtureRequest) -> PillowCodec:
    try:
        return pillow.load(request.param)
    except codecs.CodecAbsentError as error:
        pytest.skip(str(error))


each_codec = pytest.mark.parametrize("codec", NAMES, indirect=True)


def round_trip(codec: PillowCodec, picture: Path, pixels: Pixels, setting: float) -> Pixels:
    coded = picture.with_suffix(codec.suffix)
    codec.encode(picture, setting, coded)
    return codec.decode(coded, *pixels.shape[:2])


def error(one: Pixels, other: Pixels) -> float:
    return float(np.mean(np.abs(one.astype(int) - other)))


@each_codec
@pytest.mark.parametrize("shape", [(64, 96), (37, 53), (53, 37), (1, 1), (1, 20)])
def test_pictures_of_all_sizes_come_back(
    codec: PillowCodec, save_picture: Save, shape: tuple[int, int]
) -> None:
    pixels = make_picture(*shape)
    decoded = round_trip(codec, save_picture(pixels), pixels, codec.settings[-1])
    assert decoded.dtype == np.uint8
    assert decoded.shape == pixels.shape
    assert error(decoded, pixels) < 5


@each_codec
def test_settings_go_from_the_smallest_file_to_the_best(
    codec: PillowCodec, save_picture: Save
) -> None:
    pixels = make_picture(160, 240) // 2 + np.random.default_rng(1).integers(
        0, 100, (160, 240, 1), np.uint8
    )
    picture = save_picture(pixels)
    sizes, errors = [], []
    for setting in codec.settings[:: len(codec.settings) // 4]:
        errors.append(error(round_trip(codec, picture, pixels, setting), pixels))
        sizes.append(picture.with_suffix(codec.suffix).stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]
    assert errors[-1] < errors[0]


@each_codec
def test_gray_stays_gray_and_colours_stay_in_place(codec: PillowCodec, save_picture: Save) -> None:
    gray = np.repeat(make_picture(48, 64)[:, :, :1], 3, axis=2)
    decoded = round_trip(codec, save_picture(gray), gray, codec.settings[-1]).astype(int)
    assert np.abs(decoded - decoded.mean(axis=2, keepdims=True)).max() < 6
    red = np.full((48, 64, 3), (200, 40, 30), np.uint8)
    assert error(round_trip(codec, save_picture(red), red, codec.settings[-1]), red) < 4


@each_codec
def test_a_file_depends_on_pixels_only_and_survives_pickling(
    codec: PillowCodec, save_picture: Save
) -> None:
    pixels = make_picture(48, 64)
    plain = save_picture(pixels)
    told = plain.with_name("told.png")
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "a long text " * 20)
    exif = Image.Exif()
    exif[0x010E] = "described"
    Image.fromarray(pixels).save(told, pnginfo=texts, exif=exif, icc_profile=b"p" * 300, dpi=(9, 9))
    codec.encode(plain, codec.settings[5], plain.with_suffix(codec.suffix))
    copy = through_a_pipe(codec)
    copy.encode(told, codec.settings[5], told.with_suffix(codec.suffix))
    files = [path.with_suffix(codec.suffix).read_bytes() for path in (plain, told)]
    assert files[0] == files[1]
    assert copy == codec


@each_codec
def test_failures_are_one_line(codec: PillowCodec, save_picture: Save) -> None:
    picture = save_picture(make_picture(48, 64))
    coded = picture.with_suffix(codec.suffix)
    codec.encode(picture, codec.settings[0], coded)
    with pytest.raises(codecs.CodecError, match=r"decodes to 64x48 instead of 64x47"):
        codec.decode(coded, 47, 64)
    coded.write_bytes(coded.read_bytes()[:20])
    with pytest.raises(codecs.CodecError, match=f"{codec.name}: photo.* cannot be decoded"):
        codec.decode(coded, 48, 64)
    with pytest.raises(codecs.CodecError, match="cannot be decoded"):
        codec.decode(picture, 48, 64)  # a PNG is not taken for a file of the codec
    with pytest.raises(codecs.CodecError) as failed:
        codec.encode(coded, codec.settings[0], coded)
    assert str(failed.value).startswith(f"{codec.name}: {codec.knob} ")
    assert "\n" not in str(failed.value)


def test_jpeg_takes_the_smaller_of_both_modes(save_picture: Save) -> None:
    codec = pillow.load("jpeg")
    picture = save_picture(make_picture(160, 240))
    codec.encode(picture, 30, picture.with_suffix(".jpg"))
    sizes = []
    for options in codec.spec.variants:
        with Image.open(picture) as image:
            image.save(picture.with_name("one.jpg"), quality=30, **options)
        sizes.append(picture.with_name("one.jpg").stat().st_size)
    assert picture.with_suffix(".jpg").stat().st_size == min(sizes) < max(sizes)


@each_codec
def test_identity_tells_library_version_and_options(codec: PillowCodec) -> None:
    assert codec.identity.endswith(codec.spec.words)
    assert any(character.isdigit() for character in codec.identity.partition(",")[0])
    assert codec.name not in codecs.NAMES or codecs.load(codec.name) == codec


@pytest.mark.parametrize("name", ["avif", "webp", "jpeg", "jp2k"])
def test_a_pillow_without_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(codecs.CodecAbsentError, match=f"{name}: Pillow .* built without it; pip"):
        codecs.load(name)


@pytest.mark.parametrize(("name", "package"), [("heic", "heif"), ("jxl", "jxl-plugin")])
def test_a_plugin_that_is_not_installed(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(module: str) -> None:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(codecs.CodecAbsentError, match=f"^{name}: pip install pillow-{package}$"):
        codecs.load(name)


def test_plugins_are_imported_only_when_asked_for(root: Path) -> None:
    code = (
        "import sys; from eval import codecs; from eval.codecs import search, command; "
        "codecs.load('jpeg'); "
        "print(sorted({'pillow_jxl', 'pillow_heif', 'torch'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="no codec 'gif'; there are avif, heic, vvc"):
        codecs.load("gif")
    assert set(codecs.NAMES) == {*pillow.SPECS, "vvc"}
