"""Pillow opens and saves `.vqc` files once this module is imported.

    >>> import vqcodec.pillow
    >>> from PIL import Image
    >>> image = Image.open("photo.vqc")     # size and mode, without a network      # doctest: +SKIP
    >>> image.thumbnail((200, 200))         # decodes                               # doctest: +SKIP
    >>> image.save("small.vqc", tier=3)                                             # doctest: +SKIP

Opening reads the header alone: no torch, no numpy, no model pack. `Image.info["vqcodec"]` says what
the file says of itself, and after loading what was lost of it, in the fields of the command line's
JSON. A damaged file is restored as `vqcodec.decode` does it, with a `DamageWarning`; so
`ImageFile.LOAD_TRUNCATED_IMAGES` has nothing left to do. `verify` raises where checksums differ.

`Image.save` takes the arguments of `vqcodec.encode` by their names, `packets` for `n_packets`. It
saves what Pillow would show: other modes and profiles as sRGB, transparency over white. The format
holds no EXIF: its orientation turns the picture if it is handed over as `exif=`, as Pillow's
writers take it; that in `Image.info` does nothing, and `ImageOps.exif_transpose` applies it before.
"""

from __future__ import annotations

import inspect
import os
import struct
import warnings
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, Final

from PIL import ExifTags, Image, ImageFile

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC, MAX_SIDE, TIERS
from vqcodec.errors import DamageWarning, FormatError, LimitError, ModelMismatchError, VqcError
from vqcodec.inspection import describe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL._imaging import PixelAccess

FORMAT: Final = "VQC"
MIME: Final = "image/vnd.vqcodec"
SUFFIX: Final = ".vqc"
MAX_BYTES: Final = 2**27
"""Above any file that is worth writing: `cli.inputs.MAX_VQC_BYTES`, by a test."""

_CHUNK_BYTES = 2**20


class VqcImageFile(ImageFile.ImageFile):
    """A `.vqc` file as Pillow's image, decoded when its pixels are first asked for."""

    format = FORMAT
    format_description = "vqcodec image"
    _data: bytes | None = None  # the whole file, until it is decoded

    def _open(self) -> None:
        """Read the file and what it says of itself; SyntaxError tells Pillow that it is another's.

        All of it is read, a kilobyte as a rule: where the first packet is damaged, any intact one
        has the size.
        """
        data = _read(self.fp) if self.fp else b""
        if not data.startswith(MAGIC):
            raise SyntaxError("not a VQC file")
        try:
            told = describe(data)
        except FormatError as error:
            raise SyntaxError(error.message) from error
        self._data = data
        self._size = told.width_px, told.height_px
        self._mode = "RGB"
        self.info["vqcodec"] = {
            "model": told.model,
            "weights_id": f"{told.weights_id:04x}",
            "tier": told.tier,
            "codebook_size": told.codebook_size,
            "coding": told.coding,
            "n_packets": told.n_packets,
            "n_parity": told.n_parity,
            "size_bytes": told.size_bytes,
            "bpp": told.bpp,
            "is_whole": told.is_whole,
        }

    def verify(self) -> None:
        """Check all packets and their checksums, without a model pack, and close the file.

        Raises:
            OSError: something is missing or damaged.
            RuntimeError: the image was loaded already.
        """
        if self._data is None:
            raise RuntimeError("verify must be called directly after open")
        try:
            container.parse(self._data).payloads()
        except FormatError as error:
            raise self._failure(error) from error
        finally:
            super().verify()

    def load(self) -> PixelAccess | None:
        """Decode, the first time.

        Warns with a `DamageWarning` where anything was missing or damaged; where warnings are
        errors, nothing is loaded.

        Raises:
            OSError: no packet is intact, or the model pack or what runs networks is not at hand.
            DecompressionBombError: larger than Pillow's limit, if that was lowered since opening.
        """
        if self._data is not None and self._im is None:
            self._decode(self._data)
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()

    def _decode(self, data: bytes) -> None:
        """Take over the pixels, and into `info` what was lost."""
        from vqcodec.codec import decode_with_losses

        limit = Image.MAX_IMAGE_PIXELS  # Pillow warns above it and refuses above twice as much
        try:
            decoded = decode_with_losses(
                data, max_pixels=MAX_SIDE**2 if limit is None else 2 * limit
            )
        except LimitError as error:
            width, height = self.size
            raise Image.DecompressionBombError(
                f"{width}x{height} is more than twice PIL.Image.MAX_IMAGE_PIXELS ({limit:,}); "
                "raise that if you trust the file"
            ) from error
        except VqcError as error:
            raise self._failure(error) from error
        losses = asdict(decoded.losses)
        is_whole = losses.pop("is_whole")
        if not is_whole:
            warnings.warn(decoded.losses.describe(), DamageWarning, stacklevel=3)
        self.info["vqcodec"] = {
            **self.info["vqcodec"],
            "model": decoded.pack.name,
            "is_whole": is_whole,
            "restorer": decoded.restorer,
            "erased_share": decoded.losses.n_erased / decoded.losses.n_indices,
            "losses": losses,
        }
        self.im = Image.fromarray(decoded.pixels).im
        self.readonly = 0
        self._data = None

    def _failure(self, error: VqcError) -> OSError:
        """Say it as Pillow's users expect it, by the file's name where it has one."""
        return OSError(f"{os.fsdecode(self.filename) or 'VQC image'}: {error.message}")


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _read(stream: IO[bytes]) -> bytes:
    """Read all of a stream; SyntaxError where it is larger than any `.vqc` file."""
    data = bytearray()
    while chunk := stream.read(_CHUNK_BYTES):
        data += chunk
        if len(data) > MAX_BYTES:
            raise SyntaxError("larger than any VQC file")
    return bytes(data)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """Write an image, all at once when it is done; see the module for its options.

    Raises:
        ValueError: an option is outside its range, or the pack has no such tier or coding.
        OSError: the model pack or what runs networks is not at hand, even the smallest file is
            larger than `target_bytes`, or the format has no room for so large an image.
    """
    from vqcodec.codec import encode

    given: dict[str, Any] = image.encoderinfo
    names = set(inspect.signature(encode).parameters) - {"pixels"}
    options = {name: value for name, value in given.items() if name in names}
    if "packets" in given:
        if "n_packets" in given:
            raise ValueError("packets and n_packets are the same; give one of them")
        options["n_packets"] = given["packets"]
    if "target_bpp" in given:
        raise ValueError("target_bpp is the command line's; give target_bytes")
    # Pillow's writers leave out what they do not know, and programs count on that. These two ask
    # for something that their caller would miss.
    missed = [name for name in ("quality", "lossless") if given.get(name) not in (None, False)]
    if missed and options.get("tier") is options.get("target_bytes") is None:
        warnings.warn(
            f"{missed[0]}={given[missed[0]]} has no meaning in a VQC file; tier ({min(TIERS)} to "
            f"{max(TIERS)}) or target_bytes chooses its size",
            stacklevel=3,
        )
    try:
        data = encode(_pixels(image, given), **options)
    except ModelMismatchError as error:
        raise ValueError(error.message) from error
    except VqcError as error:
        raise OSError(f"cannot write as VQC: {error.message}") from error
    stream.write(data)
    if hasattr(stream, "flush"):
        stream.flush()


def _pixels(image: Image.Image, given: dict[str, Any]) -> NDArray[np.uint8]:
    """Convert a loaded image of any mode to (H, W, 3) sRGB; `given` may name profile and EXIF."""
    from vqcodec.pixels.colour import to_rgb
    from vqcodec.pixels.files import upright

    if not all(image.size):
        raise ValueError("cannot write an empty image as VQC")
    orientation = _orientation(given.get("exif"))
    info = image.info
    # For a while, so that neither the profile nor what is changed on the way stays in the image.
    image.info = {**info, "icc_profile": given.get("icc_profile", info.get("icc_profile"))}
    try:
        pixels, _ = to_rgb(image)
    finally:
        image.info = info
    return upright(pixels, orientation)


def _orientation(exif: Image.Exif | bytes | None) -> object:
    """How a picture with this EXIF is to be turned; what cannot be read leaves it as it stands."""
    tags = exif
    try:
        if exif and not isinstance(exif, Image.Exif):
            tags = Image.Exif()
            tags.load(exif)
        return tags.get(ExifTags.Base.Orientation) if isinstance(tags, Image.Exif) else None
    except (OSError, SyntaxError, struct.error):
        return None


Image.register_open(FORMAT, VqcImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, SUFFIX)
Image.register_mime(FORMAT, MIME)
