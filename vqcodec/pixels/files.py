"""Image bytes to uint8 `(H, W, 3)` sRGB pixels, upright, and back.

The only door to Pillow's readers and writers. Sizes are judged from the header before any pixel is
decoded, Pillow's warnings and its own bomb limit stay inside, and whatever it raises leaves as
`ImageError`.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    QoiImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from vqcodec.errors import ImageError, InputError, OutputError
from vqcodec.pixels.colour import to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MAX_SIDE: Final = 65535
"""Pixels per side that the file format can name: `bitstream.layout.MAX_SIDE`, by a test."""

_READERS: Final = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    WebPImagePlugin.WebPImageFile,
    AvifImagePlugin.AvifImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    PpmImagePlugin.PpmImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
    QoiImagePlugin.QoiImageFile,
)
"""Pillow's readers that are asked. The rest is left out on purpose: EPS would start Ghostscript."""

_SIGNATURES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"GIF8")
"""How the usual files begin; a file that begins so and is not understood is broken, not foreign."""

_WRITERS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"lossless": True}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".ppm": ("PPM", {}),
}
"""Suffix -> Pillow's format and options. Near-lossless: the picture has lost enough already."""

IMAGE_SUFFIXES: Final = tuple(_WRITERS)
"""Suffixes that `write_image` takes, lower case."""

_EXIF_ORIENTATION: Final = 0x0112

_pillow_lock = threading.Lock()


def read_image(data: bytes, *, max_pixels: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Read an image file of any common kind.

    Args:
        data: the file's bytes.
        max_pixels: limit on width x height, judged before pixels are decoded.

    Returns:
        (H, W, 3) uint8 sRGB, upright (EXIF orientation applied), transparency over white; and
        notes for people on what was chosen for them, one sentence each, without a file name.

    Raises:
        InputError: no bytes at all.
        ImageError: not an image, broken or cut short, or larger than the limits.
    """
    if not data:
        raise InputError("the file is empty. Get a whole copy of the image.")
    with _pillow_kept_quiet():
        try:
            # A reader is missing from OPEN where Pillow was built without its library.
            formats = [kind.format for kind in _READERS if kind.format in Image.OPEN]
            image = Image.open(io.BytesIO(data), formats=formats)
        except UnidentifiedImageError as error:
            if data.startswith(_SIGNATURES):
                raise _broken("its header cannot be read") from error
            raise ImageError(
                "not an image that can be read. Give a PNG, JPEG, WebP, AVIF, TIFF, BMP or GIF "
                "file."
            ) from error
        except MemoryError:
            raise
        except Exception as error:
            raise _broken(_one_line(error)) from error
        with image:
            _check_size(*image.size, max_pixels)
            try:
                image.load()
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
                pixels, notes = to_rgb(image)
                if _has_more_images(image):
                    notes.append("only the first of several images in the file is taken")
            except (ImageError, MemoryError):
                raise
            except Exception as error:
                raise _broken(_one_line(error)) from error
    return upright(pixels, orientation), notes


def write_image(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    """Write an image file.

    Args:
        pixels: (H, W, 3) uint8 sRGB.
        suffix: one of `IMAGE_SUFFIXES`, in any case; it decides the kind of file.

    Returns:
        The file's bytes. PNG, WebP, BMP, TIFF and PPM are lossless, JPEG and AVIF nearly so.

    Raises:
        OutputError: an unknown suffix, or a size that this kind of image cannot hold.
        ValueError: `pixels` is not (H, W, 3) uint8.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels of shape {pixels.shape}, {pixels.dtype}; want (H, W, 3) uint8")
    check_suffix(suffix)
    kind, options = _WRITERS[suffix.lower()]
    stream = io.BytesIO()
    try:
        with _pillow_kept_quiet():
            Image.fromarray(pixels).save(stream, kind, **options)
    except MemoryError:
        raise
    except Exception as error:
        height, width, _ = pixels.shape
        raise OutputError(
            f"{width} x {height} px cannot be written as {suffix} ({_one_line(error)}). "
            "Choose .png instead."
        ) from error
    return stream.getvalue()


def check_suffix(suffix: str) -> None:
    """Make sure that `write_image` knows a suffix, before the work is done.

    Raises:
        OutputError: it does not; the message lists those allowed.
    """
    if suffix.lower() not in _WRITERS:
        found = f"'{suffix}' is no image suffix" if suffix else "the name has no suffix"
        raise OutputError(f"{found} that can be written. Choose one of {' '.join(IMAGE_SUFFIXES)}.")


def upright(pixels: NDArray[np.uint8], orientation: object) -> NDArray[np.uint8]:
    """Turn and mirror (H, W, 3) as EXIF's orientation 2 to 8 asks; anything else means upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


@contextlib.contextmanager
def _pillow_kept_quiet() -> Iterator[None]:
    """Silence Pillow's warnings and its process-wide pixel limit, which is lower than ours.

    Both are globals of the process, hence the lock and the way back.
    """
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse sizes that the format or the user's limit does not allow."""
    if max(width, height) > MAX_SIDE:
        raise ImageError(
            f"{width} x {height} px has a side above {MAX_SIDE:,} px, more than a .vqc file can "
            "hold. Scale it down or cut it into parts.",
            expected=MAX_SIDE,
            found=max(width, height),
        )
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} px is {width * height:,} pixels, above the limit of "
            f"{max_pixels:,}. Raise it with --max-pixels, or scale the image down.",
            expected=max_pixels,
            found=width * height,
        )


def _has_more_images(image: Image.Image) -> bool:
    """Whether an animation or further pages follow; those of a JPEG are mere previews."""
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def _broken(reason: str) -> ImageError:
    return ImageError(f"the image is broken or cut short ({reason}). Get a whole copy of it.")


def _one_line(error: Exception) -> str:
    """Return Pillow's reason as one short line."""
    return " ".join(str(error).split())[:120] or type(error).__name__
