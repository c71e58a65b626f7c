"""Files are known by their first bytes and tell their size; other formats are left alone."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, UnidentifiedImageError

from tests.unit.pillow.made import PICTURE, V1, stream
from vqcodec import errors, pillow
from vqcodec.cli.inputs import MAX_VQC_BYTES
from vqcodec.errors import DamageWarning
from vqcodec.pillow import VqcImageFile

BAD = sorted((V1 / "bad").glob("*.vqc"))


def test_the_header_says_size_mode_and_fields(journeys: list) -> None:
    with Image.open(PICTURE) as image:
        assert isinstance(image, VqcImageFile)
        assert (image.format, image.format_description) == ("VQC", "vqcodec image")
        assert (image.size, image.mode) == ((200, 300), "RGB")
        assert image.get_format_mimetype() == "image/vnd.vqcodec"
        assert image.info["vqcodec"] == {
            "model": None,  # no released pack
            "weights_id": "1719",
            "tier": 8,
            "codebook_size": 1024,
            "coding": "table",
            "n_packets": 1,
            "n_parity": 0,
            "size_bytes": 380,
            "bpp": 8 * 380 / 60000,
            "is_whole": True,
        }
    assert journeys == []


def test_the_format_is_registered() -> None:
    assert Image.registered_extensions()[".vqc"] == "VQC"
    assert Image.MIME["VQC"] == "image/vnd.vqcodec"
    assert Image.ID.count("VQC") == 1
    assert "VQC" in Image.SAVE
    assert "VQC" not in Image.SAVE_ALL


class Pipe(io.RawIOBase):
    """A stream that cannot be turned back."""

    def __init__(self, data: bytes) -> None:
        self.inner = stream(data)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        return self.inner.readinto(target)


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 7, 7))


def test_paths_files_and_streams_are_opened(tmp_path: Path) -> None:
    data = PICTURE.read_bytes()
    named = tmp_path / "picture.png"  # the bytes decide, not the name
    named.write_bytes(data)
    with PICTURE.open("rb") as file, PICTURE.open("rb", buffering=0) as raw:
        file.seek(9)
        for source in (
            *(str(PICTURE), PICTURE, str(PICTURE).encode(), named),
            *(file, raw, stream(data), Pipe(data), Trickle(data)),
        ):
            with Image.open(source) as image:
                assert (image.size, image.format) == ((200, 300), "VQC")
                assert image.info["vqcodec"]["is_whole"]


def test_other_formats_are_opened_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: bytes) -> None:
        raise AssertionError("a file of another format was looked at")

    monkeypatch.setattr(pillow, "describe", never)
    monkeypatch.setattr(pillow, "_read", never)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        target = io.BytesIO()
        Image.new("RGB", (5, 4), "red").save(target, kind)
        with Image.open(target) as image:
            assert (image.format, image.size) == (kind, (5, 4))
    with pytest.raises(UnidentifiedImageError):
        Image.open(stream(b"neither this nor that"))


def test_formats_can_be_limited_to_it_and_without_it() -> None:
    with Image.open(PICTURE, formats=["VQC"]) as image:
        assert image.size == (200, 300)
    with pytest.raises(UnidentifiedImageError):
        Image.open(PICTURE, formats=["PNG", "JPEG"])


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_told_as_pillow_tells_them(path: Path) -> None:
    """What has no header is no image; the rest has a size, and what fails, fails at loading."""
    kind = path.stem.split("-")[0]
    is_unknown = kind in ("NotVqcError", "VersionError") or any(
        part in path.stem for part in ("tier-", "width-0", "Error-head", "magic", "prefix")
    )
    if is_unknown:
        with pytest.raises(UnidentifiedImageError):
            Image.open(path)
        with pytest.raises(SyntaxError):
            VqcImageFile(path)
        return
    with Image.open(path) as image, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        n_packets = image.info["vqcodec"]["n_packets"]
        failure: OSError | None = None
        try:
            image.load()
        except OSError as error:
            failure = error
    if failure is None:
        assert [warning.category for warning in caught] == [DamageWarning]
        assert not image.info["vqcodec"]["is_whole"]
    else:
        assert isinstance(failure.__cause__, errors.FormatError)
        assert str(failure) == f"{path}: {failure.__cause__.message}"
        assert n_packets == 1 or "none is intact" in str(failure)


def test_a_file_too_large_to_be_one_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pillow.MAX_BYTES == MAX_VQC_BYTES
    monkeypatch.setattr(pillow, "MAX_BYTES", PICTURE.stat().st_size - 1)
    with pytest.raises(UnidentifiedImageError):
        Image.open(PICTURE)
    monkeypatch.setattr(pillow, "MAX_BYTES", PICTURE.stat().st_size)
    Image.open(PICTURE).close()


def test_pillows_limit_of_pixels_holds(monkeypatch: pytest.MonkeyPatch, journeys: list) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 29_999)  # of 60,000: more than twice
    with pytest.raises(Image.DecompressionBombError):
        Image.open(PICTURE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    with pytest.warns(Image.DecompressionBombWarning):
        image = Image.open(PICTURE)
    with image:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 29_999)
        with pytest.raises(Image.DecompressionBombError, match="200x300 is more than twice"):
            image.load()
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        image.load()
    assert [call["max_pixels"] for call in journeys] == [59_998, 65535**2]
