"""Pixels are those of `decode`, made once, in an image as any other; the parser, too."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251  (as programs pass images between processes)
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

import vqcodec
from tests.unit.pillow.made import PICTURE, TESTS, V1, bytes_of, stream, without
from vqcodec import errors
from vqcodec.errors import DamageWarning
from vqcodec.pillow import VqcImageFile


@pytest.mark.parametrize("name", ["one-pixel", "tier8-picture", "context-tall", "packets-20"])
def test_pixels_are_those_of_decode(name: str) -> None:
    with Image.open(V1 / f"{name}.vqc") as image:
        told = dict(image.info["vqcodec"], model=f"tiny{'-context' * name.startswith('c')}")
        assert np.array_equal(np.asarray(image), vqcodec.decode(bytes_of(name)))
        found = image.info["vqcodec"]
    assert found["is_whole"]
    assert found["restorer"] is None
    assert found.items() > told.items()


def test_an_image_is_decoded_once_and_used_as_any_other(journeys: list) -> None:
    with Image.open(PICTURE) as image:
        first = image.load()
        assert image.load()[3, 5] == first[3, 5] == image.getpixel((3, 5))
        first[3, 5] = (3, 2, 1)
        assert image.getpixel((3, 5)) == (3, 2, 1)
        whole = image.tobytes()
        assert image.copy().tobytes() == whole
        assert image.convert("L").mode == "L"
        assert image.crop((0, 0, 9, 9)).size == (9, 9)
        assert image.info["vqcodec"] == image.copy().info["vqcodec"]
        assert image.draft("L", (20, 30)) is None
        image.putpixel((0, 0), (1, 2, 3))
        assert image.getpixel((0, 0)) == (1, 2, 3)
        image.thumbnail((20, 20))
        assert image.size == (13, 20)
    assert len(journeys) == 1


def test_thumbnails_are_made_of_unloaded_images() -> None:
    with Image.open(PICTURE) as image:
        image.thumbnail((20, 20))
        assert (image.size, image.load() is not None) == ((13, 20), True)


def test_images_are_pickled_and_copied(journeys: list) -> None:
    with Image.open(PICTURE) as image:
        again = pickle.loads(pickle.dumps(image))
        assert isinstance(again, VqcImageFile)
        assert again == image
        assert (again.info, again.filename, again.format) == (image.info, str(PICTURE), "VQC")
        assert again.load() is not None
        assert copy.deepcopy(image).tobytes() == image.tobytes()
    assert len(journeys) == 1


def test_it_is_one_frame() -> None:
    with Image.open(PICTURE) as image:
        image.seek(0)
        assert image.tell() == 0
        with pytest.raises(EOFError):
            image.seek(1)
        assert image.size == image.convert("RGB").size


def test_files_are_closed_as_by_other_readers() -> None:
    image = Image.open(PICTURE)
    opened = image.fp
    image.load()
    assert opened.closed
    assert image.fp is None
    with PICTURE.open("rb") as mine:
        Image.open(mine).load()
        assert not mine.closed
    with Image.open(PICTURE) as left:
        opened = left.fp
    assert opened.closed
    left.load()  # all was read at opening


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_closed_image_is_not_decoded(is_loaded: bool, journeys: list) -> None:
    image = Image.open(PICTURE)
    if is_loaded:
        image.load()
    image.close()
    with pytest.raises(ValueError, match="closed image"):
        image.load()
    assert len(journeys) == is_loaded


def test_a_missing_pack_is_an_oserror_at_loading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VQCODEC_MODELS", str(tmp_path))
    with Image.open(PICTURE) as image:
        with pytest.raises(OSError, match="needs the model pack with weights id 1719") as caught:
            image.load()
        assert isinstance(caught.value.__cause__, errors.ModelNotFoundError)
        assert "\n" not in str(caught.value)
        monkeypatch.setenv("VQCODEC_MODELS", str(TESTS / "packs"))
        image.load()  # once it is there
    monkeypatch.setenv("VQCODEC_MODELS", str(tmp_path))
    with (
        Image.open(stream(PICTURE.read_bytes())) as image,
        pytest.raises(OSError, match=r"^VQC image: needs"),
    ):
        image.load()


@pytest.mark.parametrize("step", [1, 50, 10_000])
def test_the_parser_is_fed_in_pieces(step: int, journeys: list) -> None:
    data = PICTURE.read_bytes()
    parser = ImageFile.Parser()
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
        assert (parser.image is None) == (min(start + step, len(data)) < 16)
    assert journeys == []
    image = parser.close()
    assert len(journeys) == 1
    assert image.info["vqcodec"]["is_whole"]
    assert image.tobytes() == vqcodec.decode(data).tobytes()


def test_the_parser_says_what_is_cut() -> None:
    parser = ImageFile.Parser()
    parser.feed(PICTURE.read_bytes()[:100])
    with pytest.raises(OSError, match="packet 0 at byte 4"):
        parser.close()
    parser = ImageFile.Parser()
    parser.feed(PICTURE.read_bytes()[:10])
    with pytest.raises(OSError, match="cannot parse this image"):
        parser.close()
    parser = ImageFile.Parser()
    parser.feed(without(bytes_of("packets-20"), 5))
    with pytest.warns(DamageWarning):
        assert parser.close().info["vqcodec"]["losses"]["missing"] == (5,)
