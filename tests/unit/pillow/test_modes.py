"""Every mode, profile and turn is saved as Pillow shows it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.unit.pillow.made import picture
from tests.unit.pixels.test_colour import swapped_profile


def with_transparency() -> Image.Image:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 1
    return image


RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (3, 2), 1), WHITE),
        (Image.new("L", (3, 2), 77), (77, 77, 77)),
        (Image.new("LA", (3, 2), (0, 0)), WHITE),
        (Image.new("LA", (3, 2), (100, 51)), (224, 224, 224)),
        (Image.new("RGBA", (3, 2), (255, 0, 0, 255)), RED),
        (Image.new("RGBA", (3, 2), (1, 2, 3, 0)), WHITE),
        (Image.new("RGBa", (3, 2), (0, 0, 0, 0)), WHITE),
        (Image.new("RGB", (3, 2), RED).convert("P"), RED),
        (Image.new("RGB", (3, 2), RED).convert("PA"), RED),
        (Image.new("I;16", (3, 2), 257 * 90), (90, 90, 90)),
        (Image.new("I;16B", (3, 2), 257 * 90), (90, 90, 90)),
        (Image.new("I", (3, 2), 257 * 90), (90, 90, 90)),
        (Image.new("F", (3, 2), 0.2), (51, 51, 51)),
        (Image.new("CMYK", (3, 2), (0, 255, 255, 0)), RED),
        (Image.new("YCbCr", (3, 2), (255, 128, 128)), WHITE),
        (Image.new("HSV", (3, 2), (0, 255, 255)), RED),
        (Image.new("LAB", (3, 2), (255, 128, 128)), WHITE),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_every_mode_is_saved_as_it_is_shown(image: Image.Image, expected: tuple, spied) -> None:
    mode, before = image.mode, image.tobytes()
    image.save(io.BytesIO(), "VQC")
    ((pixels, options),) = spied
    assert pixels.shape == (2, 3, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= (1 if mode == "LAB" else 0)
    assert options == {}
    assert (image.mode, image.tobytes()) == (mode, before)


def test_a_transparent_colour_is_shown_over_white(spied) -> None:
    image = with_transparency()
    image.save(io.BytesIO(), "VQC")
    assert spied[0][0].tolist() == [[[255, 0, 0], [255, 255, 255], [255, 0, 0]]]
    assert image.info == {"transparency": 1}


def test_a_key_of_sixteen_bits_stays_in_the_image(spied) -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.info["transparency"] = (257, 514, 771)
    image.save(io.BytesIO(), "VQC")
    assert spied[0][0].tolist() == [[[255] * 3] * 2]
    assert image.info == {"transparency": (257, 514, 771)}


def test_a_profile_becomes_srgb(spied) -> None:
    image = Image.new("RGB", (3, 2), (200, 40, 10))
    image.info["icc_profile"] = swapped_profile()  # red and blue change places
    image.save(io.BytesIO(), "VQC")
    image.save(io.BytesIO(), "VQC", icc_profile=None)
    image.info.clear()
    image.save(io.BytesIO(), "VQC", icc_profile=swapped_profile())
    image.save(io.BytesIO(), "VQC", icc_profile=b"no profile")
    assert image.info == {}
    from_info, left_out, from_option, broken = (pixels[0, 0].astype(int) for pixels, _ in spied)
    assert np.abs(from_info - (10, 40, 200)).max() <= 2
    assert from_option.tolist() == from_info.tolist()
    assert left_out.tolist() == broken.tolist() == [200, 40, 10]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_only_where_it_is_handed_over(orientation: int, spied) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, source = picture(), io.BytesIO()
    plain.save(source, "PNG", exif=exif)
    with Image.open(source) as image:
        image.save(io.BytesIO(), "VQC")
        image.save(io.BytesIO(), "VQC", exif=image.getexif())
        image.save(io.BytesIO(), "VQC", exif=exif.tobytes())
        image.save(io.BytesIO(), "VQC", exif=b"")
        assert image.getexif()[0x0112] == orientation
        turned = np.asarray(ImageOps.exif_transpose(image))
    as_it_stands, by_tags, by_bytes, by_nothing = (pixels for pixels, _ in spied)
    assert np.array_equal(as_it_stands, np.asarray(plain))
    assert np.array_equal(by_nothing, as_it_stands)
    assert np.array_equal(by_tags, turned)
    assert np.array_equal(by_bytes, turned)


@pytest.mark.parametrize("exif", [b"junk", b"Exif\0\0", b"MM\0*", b"II*\0\xff\xff\xff\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_turns_nothing(exif: bytes, spied) -> None:
    picture().save(io.BytesIO(), "VQC", exif=exif)
    assert np.array_equal(spied[0][0], np.asarray(picture()))
