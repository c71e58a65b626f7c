"""Reading images: kinds, orientation, limits; what is broken is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, features

from tests.unit.pixels.made import BLUE, GREEN, RED, WHITE, gradient, png, read, saved
from vqcodec.bitstream.layout import MAX_SIDE as FORMAT_MAX_SIDE
from vqcodec.errors import ImageError, InputError
from vqcodec.pixels.files import MAX_SIDE


def outcome(data: bytes) -> np.ndarray | ImageError:
    """The pixels, or the refusal; anything else that is raised is a fault."""
    try:
        return read(data, max_pixels=10**6)[0]
    except ImageError as error:
        return error


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "JPEG", "WEBP", "AVIF"])
def test_common_kinds_are_read(kind) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    pixels, notes = read(saved(gradient(), kind))
    assert notes == []
    slack = {"JPEG": 16, "WEBP": 16, "AVIF": 16, "GIF": 32}.get(kind, 0)
    assert np.abs(pixels.astype(int) - np.asarray(gradient())).max() <= slack


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_orientation_is_applied(orientation, kind) -> None:
    corners = Image.new("RGB", (32, 16), WHITE)
    corners.paste(RED, (0, 0, 16, 8))  # top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, _ = read(saved(corners, kind, exif=exif))
    assert pixels.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    # Where EXIF says that the stored top left corner belongs.
    bottom = orientation in (3, 4, 7, 8)
    right = orientation in (2, 3, 6, 7)
    corner = pixels[-4 if bottom else 3, -4 if right else 3].astype(int)
    assert np.abs(corner - RED).max() < 40
    opposite = pixels[3 if bottom else -4, 3 if right else -4].astype(int)
    assert np.abs(opposite - WHITE).max() < 40


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_a_senseless_orientation_is_ignored(orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, _ = read(saved(gradient(), "PNG", exif=exif))
    assert np.array_equal(pixels, np.asarray(gradient()))


def test_broken_exif_is_ignored() -> None:
    pixels, _ = read(saved(gradient(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    assert np.array_equal(pixels, np.asarray(gradient()))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_images_the_first_is_taken_with_a_note(kind) -> None:
    first, second = Image.new("RGB", (8, 8), GREEN), Image.new("RGB", (8, 8), BLUE)
    data = saved(first, kind, save_all=True, append_images=[second])
    pixels, notes = read(data)
    assert np.abs(pixels.astype(int) - GREEN).max() <= 4
    assert notes == ["only the first of several images in the file is taken"]


def test_previews_in_a_jpeg_give_no_note() -> None:
    first, second = Image.new("RGB", (8, 8), GREEN), Image.new("RGB", (4, 4), BLUE)
    _, notes = read(saved(first, "MPO", save_all=True, append_images=[second]))
    assert notes == []


def test_a_single_pixel_is_read() -> None:
    pixels, _ = read(saved(Image.new("RGB", (1, 1), RED), "PNG"))
    assert pixels.tolist() == [[list(RED)]]


def test_empty_bytes_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        read(b"")


@pytest.mark.parametrize(
    "data", [b"no image", b"\xd6VQC" + bytes(20), b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_other_files_are_refused(data) -> None:
    with pytest.raises(ImageError, match=r"not an image that can be read\. Give a PNG"):
        read(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "AVIF", "GIF"])
def test_every_cut_of_an_image_is_refused_or_read(kind) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    whole = saved(gradient(), kind)
    for cut in range(1, len(whole) - 1, max(1, len(whole) // 40)):
        found = outcome(whole[:cut])
        if isinstance(found, ImageError):
            assert "\n" not in found.message
        else:
            assert found.shape == (24, 40, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_half_an_image_is_called_broken(kind) -> None:
    whole = saved(gradient(200, 200), kind)
    with pytest.raises(ImageError, match=r"broken or cut short \(.+\)\. Get a whole copy"):
        read(whole[: len(whole) // 2])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"])
def test_changed_bytes_never_let_a_foreign_exception_out(kind) -> None:
    random = np.random.default_rng(5)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind not in ("GIF", "BMP") else {}
    whole = bytearray(saved(gradient(), kind, **options))
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(0, min(len(data), 400), 3):
            data[place] = random.integers(0, 256)
        found = outcome(bytes(data))
        assert not isinstance(found, ImageError) or "\n" not in found.message


def test_sizes_are_judged_before_pixels_are_decoded() -> None:
    # 1.6 gigapixels in 70 bytes: decoding would take 4.5 GiB, and Pillow would call it a bomb.
    data = png(40_000, 40_000, 8, 2, b"")
    with pytest.raises(ImageError) as caught:
        read(data)
    assert caught.value.message == (
        "40000 x 40000 px is 1,600,000,000 pixels, above the limit of 268,435,456. Raise it with "
        "--max-pixels, or scale the image down."
    )


def test_a_side_that_the_format_cannot_name_is_refused() -> None:
    with pytest.raises(ImageError, match="70000 x 1 px has a side above 65,535 px"):
        read(png(70_000, 1, 1, 0, b""), max_pixels=2**40)
    assert MAX_SIDE == FORMAT_MAX_SIDE


def test_pillows_own_limit_stays_as_it_was(monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    read(saved(Image.new("L", (100, 100)), "PNG"))
    assert Image.MAX_IMAGE_PIXELS == 50


def test_running_out_of_memory_is_not_hidden(monkeypatch) -> None:
    def load(*_):
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(MemoryError):
        read(saved(gradient(), "BMP"))


def test_a_picture_taller_than_the_bands_it_is_copied_in_is_whole() -> None:
    rows = np.arange(600 * 3 * 3).reshape(600, 3, 3) % 251
    picture = rows.astype(np.uint8)
    pixels, _ = read(saved(Image.fromarray(picture), "PNG"))
    assert np.array_equal(pixels, picture)
