"""A guard that keeps the images of evaluation sets out of training, by perceptual hash.

A hash is the 64-bit `phash` of ImageHash: which of the 8 x 8 lowest DCT coefficients of a 32 x 32
grey thumbnail lie above their median. It outlives scaling, recompression and small retouching, but
not cropping or turning. The list shipped with the package, `evaluation_hashes.tsv`, has Kodak and
the CLIC images that this project reports on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vqcodec.errors import BackendError, InputError
from vqcodec.training.photos import read_photos

# Hashes of photos have 32 ones of 64, so distances are even. Kodak at shorter side 320 and JPEG
# quality 40 stays within 2; of 7,362 photos of other things none came nearer than 12.
MAX_DISTANCE = 6
HASH_BITS = 64
THUMB_PX = 32
SHIPPED = Path(__file__).with_name("evaluation_hashes.tsv")


class Refused:
    """Hashes of the images that training has to leave alone.

    A flat picture has its coefficients tied at the median: its hash tells nothing and equals that
    of every other flat picture. Such hashes are never matched; their names are in `unguarded`.

    Args:
        hashes: name and `phash` of each image, as an integer below 2**64 with the first bit on top.
        unguarded: names of further images, whose hashes are known to tell nothing.
    """

    def __init__(self, hashes: Iterable[tuple[str, int]], unguarded: Iterable[str] = ()) -> None:
        hashes = list(hashes)
        names = np.array([name for name, _ in hashes], dtype=np.str_)
        words = np.array([word for _, word in hashes], dtype=">u8")
        bits = np.unpackbits(words.view(np.uint8)).reshape(-1, HASH_BITS)
        # Above the median of 64 values lie 32 of them, unless some are tied with it.
        is_telling = bits.sum(axis=1) == HASH_BITS // 2
        self.names: list[str] = names[is_telling].tolist()
        self.unguarded: list[str] = [*names[~is_telling].tolist(), *unguarded]
        self._bits = bits[is_telling].astype(np.bool_)  # (n, 64)

    def match(self, pixels: NDArray[np.uint8]) -> str | None:
        """Name the image that a photo or its mirror image is a copy of.

        Args:
            pixels: (H, W, 3) uint8.

        Returns:
            Name of the nearest image within `MAX_DISTANCE` bits, or None.

        Raises:
            BackendError: ImageHash is not installed.
        """
        thumb = _thumb(pixels)
        both = np.stack([_bits(thumb), _bits(thumb[:, ::-1])])
        if not self.names:
            return None
        distances = (self._bits[:, None] != both).sum(axis=2).min(axis=1)  # (n,)
        nearest = int(distances.argmin())
        return self.names[nearest] if distances[nearest] <= MAX_DISTANCE else None


def load_refused(folders: Sequence[Path] = ()) -> Refused:
    """Load the shipped list and hash the images of further evaluation sets.

    Args:
        folders: what else must not be trained on; see `read_photos` for what a folder may be.

    Returns:
        The guard; its names are `SET/STEM`, where a folder's own name stands for the set.

    Raises:
        InputError: a folder is missing or has no image.
        BackendError: ImageHash is not installed and there are folders to hash.
    """
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    hashes = [(f"{group}/{name}", int(word, 16)) for group, name, word in rows]
    unguarded = []
    for folder in folders:
        for stem, word in _hash_all(folder):
            name = f"{folder.resolve().stem}/{stem}"
            if word is None:
                unguarded.append(name)
            else:
                hashes.append((name, word))
    return Refused(hashes, unguarded)


def write_hashes(folders: Mapping[str, Path], out: Path) -> None:
    """Write a list as the shipped one: tab-separated set, name (the file's stem), 16 hex digits.

    Args:
        folders: name of each set and the folder of its images.
        out: the list to write.

    Raises:
        InputError: a folder is missing or has no image, or an image is too flat to be known again.
        BackendError: ImageHash is not installed.
    """
    example = ", ".join(f'"{group}": Path("{group}")' for group in folders)
    lines = [
        "# Images that models are judged by and never trained on: set, name, 64-bit phash. Made by",
        "# python -c 'from pathlib import Path; from vqcodec.training.refusal import write_hashes;"
        f' write_hashes({{{example}}}, Path("{out.name}"))\'',
    ]
    for group, folder in folders.items():
        for stem, word in _hash_all(folder):
            if word is None:
                raise InputError(f"{folder}: {stem} is too flat to have a hash.", path=folder)
            lines.append(f"{group}\t{stem}\t{word:016x}")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _hash_all(folder: Path) -> Iterator[tuple[str, int | None]]:
    """Yield stem and hash of each image, None where the hash tells nothing."""
    is_empty = True
    for name, pixels in read_photos(folder):
        is_empty = False
        thumb = _thumb(pixels)
        bits = _bits(thumb)
        word = int.from_bytes(np.packbits(bits).tobytes(), "big")
        yield Path(name).stem, word if _is_telling(thumb, bits) else None
    if is_empty:
        raise InputError(f"{folder}: no image.", path=folder)


def _is_telling(thumb: NDArray[np.uint8], bits: NDArray[np.bool_]) -> bool:
    """Whether the picture rather than rounding makes the hash.

    One grey level of noise turns about 31 bits of flat pictures and plain gradients, but 4 at most
    of 7,394 photos of 7,396, and 6 and 8 of the others. Only evaluation images need this test: the
    chance that a photo without structure meets one of 34 telling hashes is about 1 in 10**9.
    """
    noise = np.random.default_rng(0).integers(-1, 2, thumb.shape)
    noisy = (thumb + noise).clip(0, 255).astype(np.uint8)
    return int((_bits(noisy) != bits).sum()) <= MAX_DISTANCE


def _thumb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink as `phash` does, once for both of a photo's hashes; (32, 32) uint8."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((THUMB_PX, THUMB_PX), Image.Resampling.LANCZOS))


def _bits(thumb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return _imagehash().phash(Image.fromarray(np.ascontiguousarray(thumb))).hash.ravel()  # (64,)


def _imagehash() -> ModuleType:
    try:
        import imagehash
    except ImportError as error:
        raise BackendError(
            "training needs ImageHash, which is not installed. Run 'pip install vqcodec[train]'."
        ) from error
    return imagehash
