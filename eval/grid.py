"""Contact sheets for a model's card: centre crops of eight images, one sheet per tier.

Crops are shown pixel for pixel, so that artefacts show; the whole image is coded, then cropped.
What is shown comes out of the files that `eval.rd` measures.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import vqcodec
from eval import images, provenance, sheet
from eval.codecs.vqc import Vqc

# Faces, machines, houses, water and rock, paint on a face, lighthouse with fence, plane, parrots.
KODAK = tuple(f"kodim{number:02}.png" for number in (4, 5, 8, 13, 15, 19, 20, 23))
COLUMNS = 4
CROP_PX = 384
QUALITY = 88  # of the sheets' JPEG, without subsampling of colours


def choose(folder: Path) -> list[Path]:
    """Choose what a sheet shows: eight of Kodak's images, else a folder's first by name.

    Args:
        folder: the folder to look into.

    Returns:
        One to eight paths, by name.

    Raises:
        FileNotFoundError: there is no image in the folder.
    """
    found = images.find_images(folder)
    of_kodak = [path for path in found if path.name in KODAK]
    return of_kodak if len(of_kodak) == len(KODAK) else found[: len(KODAK)]


def run(
    data: Path,
    folder: Path,
    tiers: Sequence[int],
    model: str | None = None,
    threads: int | None = None,
) -> list[Path]:
    """Make the sheets and say where each is: `original.jpg` and, per tier, `tier-T.jpg`.

    Args:
        data: folder of images, of which `choose` takes some.
        folder: made if need be; sheets of an earlier run are replaced.
        tiers: of the pack's; none stands for all.
        model: a pack's name or folder; None takes the default.
        threads: for the networks; None leaves torch's choice.

    Returns:
        Paths of the sheets, the original's first.

    Raises:
        FileNotFoundError: there is no image in `data`.
        ValueError: an image cannot be read.
        CodecError: the model pack is missing or broken, or an image cannot be coded.
    """
    sources = {path: images.read_rgb(path) for path in choose(data)}
    cells = [
        _cell(pixels, path.stem, f"{path.stat().st_size:,} bytes, {path.suffix[1:].upper()}")
        for path, pixels in sources.items()
    ]
    codec = Vqc(model, threads, tiers)
    name = (provenance.model_identity(model) or {"name": model})["name"]
    folder.mkdir(parents=True, exist_ok=True)
    made = [_save(folder / "original.jpg", "original", "files as stored", cells)]
    print(made[0])
    with tempfile.TemporaryDirectory() as scratch:
        picture, coded = Path(scratch) / "picture.png", Path(scratch) / "coded.vqc"
        for tier in codec.settings:
            start = time.perf_counter()
            rates, cells = [], []
            for path, pixels in sources.items():
                Image.fromarray(pixels).save(picture, compress_level=1)
                codec.encode(picture, tier, coded)
                size_bytes = coded.stat().st_size
                rates.append(images.bits_per_pixel(size_bytes, *pixels.shape[:2]))
                decoded = codec.decode(coded, *pixels.shape[:2])
                cells.append(_cell(decoded, path.stem, f"{size_bytes:,} bytes"))
            told = vqcodec.describe(coded.read_bytes())
            bpp = statistics.fmean(rates)
            title = f"{name}, tier {tier}, K = {told.codebook_size}"
            figures = f"mean of these {len(rates)}: {bpp:.4f} bpp"
            made.append(_save(folder / f"tier-{tier}.jpg", title, figures, cells))
            print(f"{made[-1]}: mean {bpp:.4f} bpp, {time.perf_counter() - start:.1f} s")
    return made


def _cell(pixels: NDArray[np.uint8], heading: str, note: str) -> sheet.Cell:
    """The centre of a picture; a smaller picture is shown whole, with paper around it."""
    height, width = pixels.shape[:2]
    top, left = max(0, height - CROP_PX) // 2, max(0, width - CROP_PX) // 2
    crop = pixels[top : top + CROP_PX, left : left + CROP_PX]
    place = np.full((CROP_PX, CROP_PX, 3), 255, np.uint8)
    place[: crop.shape[0], : crop.shape[1]] = crop
    return sheet.Cell(place, heading, note)


def _save(path: Path, title: str, figures: str, cells: Sequence[sheet.Cell]) -> Path:
    """Draw and write a sheet; it has four columns even for one picture, as the title needs room."""
    blanks = [_cell(np.empty((0, 0, 3), np.uint8), "", "")] * (-len(cells) % COLUMNS)
    filled = [*cells, *blanks]
    subtitle = (
        f"{figures}; below each picture the bytes of its whole file; "
        f"centre crops of {CROP_PX} x {CROP_PX}, pixel for pixel"
    )
    rows = [filled[start : start + COLUMNS] for start in range(0, len(filled), COLUMNS)]
    drawn = sheet.draw(title, subtitle, rows)
    drawn.save(path, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=True)
    return path
