"""Any Pillow image to 8-bit sRGB without alpha: depth, profile, transparency, in this order.

What is changed beyond doubt (a Display P3 photo to sRGB) happens silently; what is a choice of ours
(white behind transparency, the range of a float image) is said in a note.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

from vqcodec.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""ICC colour space -> the image mode whose numbers it explains."""

_BAND_ROWS = 256

_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262


def to_rgb(image: Image.Image) -> tuple[NDArray[np.uint8], list[str]]:
    """Convert a loaded image to sRGB.

    Args:
        image: loaded, in any mode that Pillow's readers give.

    Returns:
        (H, W, 3) uint8 sRGB in the image's stored orientation, and notes for people.

    Raises:
        ImageError: the numbers have no meaning as an image (NaN in a float image).
    """
    notes: list[str] = []
    icc = image.info.get("icc_profile")
    if image.mode == "F" or image.mode.startswith("I"):
        colour, alpha = _from_deep_gray(image, notes)
    else:
        colour, alpha = _split_alpha(image)
    rgb = _to_srgb(colour, icc, notes)
    pixels = _to_array(rgb)
    if alpha is None or alpha.min(initial=255) == 255:
        return pixels, notes
    notes.append("transparent parts are shown over white")
    return _over_white(pixels, alpha), notes


def _from_deep_gray(
    image: Image.Image, notes: list[str]
) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Scale gray of 12, 16 or 32 bits or floats to 8 bits; Pillow's own conversion would clip."""
    values = np.asarray(image)  # (H, W) uint16, int32 or float32
    tags = getattr(image, "tag_v2", {})
    key = image.info.get("transparency")
    alpha = None
    if isinstance(key, int):
        alpha = np.where(values == key, 0, 255).astype(np.uint8)
    if not np.isfinite(values).all():
        raise ImageError(
            "the float image holds values that are no numbers. Save it with 8 or 16 bits."
        )
    low, high = float(values.min()), float(values.max())
    if image.mode == "F":
        span = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
        notes.append(f"float values from {span[0]:g} to {span[1]:g} are scaled to 0 to 255")
    elif low >= 0 and high <= 65535:
        span = (0.0, 4095.0 if tags.get(_TIFF_BITS) == (12,) else 65535.0)
    else:
        span = (low, high)
        notes.append(f"integer values from {low:g} to {high:g} are scaled to 0 to 255")
    scale = 255 / max(span[1] - span[0], 1e-30)
    # Row by row, so that a large image never stands in memory as float64.
    gray = np.empty(values.shape, np.uint8)
    for row, line in zip(gray, values, strict=True):
        row[:] = np.rint((line.astype(np.float64) - span[0]) * scale)
    if image.mode.startswith("I;16") and tags.get(_TIFF_PHOTOMETRIC) == 0:
        gray = 255 - gray  # "white is zero", which Pillow undoes for 8 bits only
    return Image.fromarray(gray), alpha


def _split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Part the colours (L, RGB, CMYK or LAB) from the opacity (H, W), None where all is opaque."""
    if image.mode in ("CMYK", "LAB", "L", "RGB") and "transparency" not in image.info:
        return image, None
    if not image.has_transparency_data:
        return image.convert("L" if image.mode == "1" else "RGB"), None
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        # A PNG of 16 bits names the transparent colour in 16 bits; of pixels, Pillow keeps the
        # high bytes.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif isinstance(key, int) and key > 255:
        del image.info["transparency"]  # no 8-bit pixel has this value
        return _split_alpha(image)
    is_gray = image.mode in ("1", "L", "LA", "La")
    whole = image.convert("LA" if is_gray else "RGBA")
    return whole.convert("L" if is_gray else "RGB"), np.asarray(whole.getchannel("A"))


def _to_srgb(colour: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    """Apply the embedded profile; one that cannot be used leaves a plain conversion and a note."""
    if icc:
        try:
            return _apply_profile(colour, icc)
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            notes.append("the colour profile cannot be used; the colours are taken as sRGB")
    elif colour.mode == "CMYK":
        notes.append("CMYK without a colour profile; the colours are converted plainly")
    if colour.mode == "LAB":
        return _transform(colour, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return colour.convert("RGB")


def _apply_profile(colour: Image.Image, icc: bytes) -> Image.Image:
    """Convert `colour` from its profile to sRGB; raises ValueError when the two do not fit."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    mode = _MODE_OF_SPACE.get(profile.profile.xcolor_space.strip())
    if colour.mode == "L" and mode == "RGB":
        colour = colour.convert("RGB")  # cameras tag their gray pictures so
    if mode != colour.mode:
        raise ValueError(f"a profile for {mode} in an image of {colour.mode}")
    if mode == "RGB" and ImageCms.getProfileDescription(profile).lower().startswith("srgb"):
        return colour  # the usual case, kept exact: a transform would move pixels by one
    return _transform(colour, profile)


def _transform(colour: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    """Run one colour transform into sRGB, perceptual as browsers and viewers do."""
    target = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.PERCEPTUAL
    done = ImageCms.profileToProfile(colour, source, target, intent, outputMode="RGB")
    if done is None:
        raise ValueError("no transform")
    return done


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    """Copy an RGB image into an array (H, W, 3) of its own."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    # Band by band: all at once, Pillow and numpy would hold two more copies of a large image.
    for top in range(0, height, _BAND_ROWS):
        bottom = min(height, top + _BAND_ROWS)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _over_white(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend (H, W, 3) over white by alpha (H, W), in place, rounding to nearest."""
    # Row by row, so that a large image never stands in memory as uint32.
    for row, opacity in zip(pixels, alpha, strict=True):
        weight = opacity.astype(np.uint32)[:, None]  # (W, 1)
        row[:] = (row * weight + 255 * (255 - weight) + 127) // 255
    return pixels
