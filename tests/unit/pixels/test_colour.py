"""Every mode, depth, transparency and profile comes out as 8-bit sRGB."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.unit.pixels.made import BLUE, RED, WHITE, gradient, png, read, saved
from vqcodec.errors import ImageError


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "GIF"])
def test_gray_is_spread_over_three_channels(kind) -> None:
    pixels, notes = read(saved(Image.new("L", (5, 4), 77), kind))
    assert (pixels == 77).all()
    assert notes == []


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_is_black_and_white(kind) -> None:
    pixels, _ = read(saved(Image.fromarray(np.eye(8, dtype=bool)), kind))
    assert np.array_equal(pixels[..., 0], np.eye(8) * 255)


def test_a_palette_gives_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    pixels, notes = read(saved(image, "PNG"))
    assert pixels.tolist() == [[list(RED), list(BLUE)]]
    assert notes == []


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_a_transparent_palette_colour_becomes_white(transparency) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    pixels, notes = read(saved(image, "PNG", transparency=transparency))
    assert pixels.tolist() == [[list(RED), list(WHITE)]]
    assert notes == ["transparent parts are shown over white"]


def test_a_transparent_gif_is_shown_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    pixels, _ = read(saved(image, "GIF", transparency=1))
    assert pixels.tolist() == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_blended_over_white(kind) -> None:
    image = Image.new("RGBA", (3, 1), (200, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 51))
    image.putpixel((2, 0), (9, 9, 9, 0))
    pixels, notes = read(saved(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert pixels.tolist() == [[[200, 0, 0], [204, 204, 204], [255, 255, 255]]]
    assert notes == ["transparent parts are shown over white"]


def test_an_opaque_alpha_channel_goes_without_a_note() -> None:
    pixels, notes = read(saved(Image.new("RGBA", (3, 2), (1, 2, 3, 255)), "PNG"))
    assert (pixels == (1, 2, 3)).all()
    assert notes == []


def test_gray_with_alpha_is_blended() -> None:
    pixels, notes = read(saved(Image.new("LA", (1, 1), (100, 0)), "PNG"))
    assert pixels.tolist() == [[[255, 255, 255]]]
    assert len(notes) == 1


@pytest.mark.parametrize(("mode", "colour"), [("L", 90), ("RGB", (90, 80, 70))])
def test_a_colour_key_is_transparent(mode, colour) -> None:
    image = Image.new(mode, (2, 1), colour)
    image.putpixel((1, 0), 5 if mode == "L" else (5, 5, 5))
    pixels, notes = read(saved(image, "PNG", transparency=colour))
    assert pixels.tolist() == [[[255] * 3, [5] * 3]]
    assert len(notes) == 1


def test_sixteen_bit_gray_is_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        pixels, notes = read(saved(Image.fromarray(values), kind))
        assert pixels[0, :, 0].tolist() == [0, 1, 128, 255]
        assert notes == []


def test_sixteen_bit_colour_is_scaled() -> None:
    rows = b"\0" + struct.pack(">6H", 0, 32896, 65535, 257, 0, 514)
    pixels, _ = read(png(2, 1, 16, 2, rows))
    assert pixels.tolist() == [[[0, 128, 255], [1, 0, 2]]]


def test_colour_keys_of_sixteen_bits_are_understood() -> None:
    rows = b"\0" + struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0, 0, 0)
    pixels, _ = read(png(2, 1, 16, 2, rows, b"tRNS" + struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)))
    assert pixels.tolist() == [[[255] * 3, [0] * 3]]
    gray = b"\0" + struct.pack(">2H", 0x1234, 0xFFFF)
    pixels, _ = read(png(2, 1, 16, 0, gray, b"tRNS" + struct.pack(">H", 0x1234)))
    assert pixels.tolist() == [[[255] * 3, [255] * 3]]


def test_integers_of_32_bits_are_scaled_with_a_note() -> None:
    values = np.array([[-100, 0, 200_000]], np.int32)
    pixels, notes = read(saved(Image.fromarray(values), "TIFF"))
    assert pixels[0, :, 0].tolist() == [0, 0, 255]
    assert notes == ["integer values from -100 to 200000 are scaled to 0 to 255"]


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255], "float values from 0 to 1 are scaled to 0 to 255"),
        ([-1.0, 0.0, 3.0], [0, 64, 255], "float values from -1 to 3 are scaled to 0 to 255"),
    ],
)
def test_floats_are_scaled_with_a_note(values, expected, note) -> None:
    pixels, notes = read(saved(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert pixels[0, :, 0].tolist() == expected
    assert notes == [note]


def test_a_constant_float_image_is_read() -> None:
    pixels, _ = read(saved(Image.fromarray(np.full((2, 2), 7.5, np.float32)), "TIFF"))
    assert (pixels == 0).all()


def test_floats_that_are_no_numbers_are_refused() -> None:
    data = saved(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF")
    with pytest.raises(ImageError, match="no numbers"):
        read(data)


def test_cmyk_is_converted_with_a_note() -> None:
    pixels, notes = read(saved(Image.new("CMYK", (2, 2), (255, 0, 0, 0)), "TIFF"))
    assert pixels[0, 0].tolist() == [0, 255, 255]
    assert notes == ["CMYK without a colour profile; the colours are converted plainly"]


def test_lab_is_converted() -> None:
    pixels, _ = read(saved(Image.new("LAB", (2, 2), (255, 128, 128)), "TIFF"))
    assert pixels.min() >= 250


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue primaries changed places, under another name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = (
        data[blue + 4 : blue + 12],
        data[red + 4 : red + 12],
    )
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_an_embedded_profile_is_converted_to_srgb(kind) -> None:
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    options |= {"lossless": True} if kind == "WEBP" else {}
    data = saved(Image.new("RGB", (8, 8), RED), kind, icc_profile=swapped_profile(), **options)
    pixels, notes = read(data)
    assert np.abs(pixels.astype(int) - BLUE).max() <= 4
    assert notes == []


def test_an_srgb_profile_leaves_pixels_exact() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels, notes = read(saved(gradient(), "PNG", icc_profile=icc))
    assert np.array_equal(pixels, np.asarray(gradient()))
    assert notes == []


def test_a_colour_profile_applies_to_gray_and_palette_too() -> None:
    pixels, notes = read(saved(Image.new("L", (4, 4), 128), "PNG", icc_profile=swapped_profile()))
    assert np.abs(pixels.astype(int) - 128).max() <= 2
    assert notes == []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*RED])
    pixels, _ = read(saved(palette, "PNG", icc_profile=swapped_profile()))
    assert np.abs(pixels.astype(int) - BLUE).max() <= 4


def gray_profile(gamma: float) -> bytes:
    """A minimal ICC v2 profile for gray with one gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"gray\0" + bytes(78)
    blocks, table, at = b"", b"", 128 + 4 + 12 * 3
    for name, block in ((b"kTRC", curve), (b"wtpt", white), (b"desc", text)):
        block += bytes(-len(block) % 4)
        table += name + struct.pack(">II", at, len(block))
        blocks, at = blocks + block, at + len(block)
    head = struct.pack(">I4sI4s4s4s", at, b"\0" * 4, 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + table + blocks


def test_a_gray_profile_is_applied() -> None:
    pixels, notes = read(saved(Image.new("L", (4, 4), 128), "PNG", icc_profile=gray_profile(1.0)))
    assert np.abs(pixels.astype(int) - 188).max() <= 3  # linear 0.5 in sRGB
    assert notes == []


@pytest.mark.parametrize("icc", [b"rubbish", swapped_profile()[:200], gray_profile(1.0)])
def test_a_profile_that_cannot_be_used_gives_a_note(icc) -> None:
    pixels, notes = read(saved(gradient(), "PNG", icc_profile=icc))
    assert np.array_equal(pixels, np.asarray(gradient()))
    assert notes == ["the colour profile cannot be used; the colours are taken as sRGB"]
