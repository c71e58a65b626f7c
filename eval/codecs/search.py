"""Which files are measured: ours of every tier, and those of other codecs at given sizes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.codecs import vqc
from eval.codecs.base import Codec, shown

SCALES = (1, 2, 4, 8)
MIN_SCALED_SIDE = 16  # of a picture that was scaled down; some encoders refuse less


@dataclass(frozen=True)
class Coded:
    """A file, and the picture that comes out of it.

    Attributes:
        codec: name of the curve; "avif/2" is AVIF of the picture scaled down by two.
        point: 1 to n; ours is the tier, another codec's the budget, counted from 1.
        setting: the codec's knob, in words.
        path: the file that was decoded.
        pixels: (H, W, 3), as large as the original.
        sha256: of the file, the first 16 hexadecimal digits. Files of one curve with the same
            digits hold the same picture.
        encode_s: from a PNG file of the original's size to the file, scaling down included.
        decode_s: from the file to pixels of the original's size, scaling up included.
        overhead_bytes: all of our file but the coded indices; None for other codecs.
    """

    codec: str
    point: int
    setting: str
    path: Path
    pixels: NDArray[np.uint8]
    size_bytes: int
    sha256: str
    encode_s: float
    decode_s: float
    overhead_bytes: int | None = None


def coded_path(folder: Path, curve: str, image: str, point: int, suffix: str) -> Path:
    """Where a file of a curve is kept: FOLDER/CURVE/IMAGE-POINT.suffix, "/" written as "_"."""
    return folder / curve.replace("/", "_") / f"{image}-{point}{suffix}"


def all_tiers(
    codec: vqc.Vqc, picture: Path, pixels: NDArray[np.uint8], folder: Path
) -> Iterator[Coded]:
    """Code and decode a picture at every tier that the codec was made for.

    Args:
        codec: ours.
        picture: PNG file of the picture (8-bit RGB); its stem names the files.
        pixels: the same picture.
        folder: where the files are kept, see `coded_path`.

    Raises:
        CodecError: the codec failed.
    """
    codec.warm_up()
    height, width = pixels.shape[:2]
    for tier in codec.settings:
        path = coded_path(folder, codec.name, picture.stem, tier, codec.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        codec.encode(picture, tier, path)
        middle = time.perf_counter()
        seen = codec.decode(path, height, width)
        end = time.perf_counter()
        size, digest = _measured(path)
        yield Coded(
            codec.name, tier, f"{codec.knob} {shown(tier)}", path, seen, size, digest,
            middle - start, end - middle, vqc.overhead_bytes(path),
        )  # fmt: skip


def at_budgets(
    codec: Codec,
    picture: Path,
    pixels: NDArray[np.uint8],
    budgets: Sequence[int],
    folder: Path,
) -> Iterator[Coded]:
    """Code a picture into the largest files that are not larger than given sizes.

    First at full size. Where the smallest file is larger than a budget, all budgets are tried again
    with the picture scaled down by 2 (Lanczos, sides rounded up) and what is decoded scaled up
    again; then by 4 and by 8, until a scale reaches every budget. Each scale is a curve of its own,
    "avif/2", and has the points that it reaches.

    The file is found by bisection, as if sizes grew with the settings. Where they do not, a larger
    file that fits may be missed; a file above its budget never comes out.

    Args:
        codec: any but ours.
        picture: PNG file of the picture (8-bit RGB); its stem names the files.
        pixels: the same picture.
        budgets: in bytes; the first is point 1.
        folder: where the files are kept, see `coded_path`.

    Raises:
        CodecError: the codec failed.
    """
    for scale in SCALES:
        if scale > 1 and min(scaled_sides(scale, *pixels.shape[:2])) < MIN_SCALED_SIDE:
            return
        with tempfile.TemporaryDirectory() as scratch:
            trials = _Trials(codec, picture, pixels, scale, Path(scratch))
            for budget in budgets:
                trials.try_for(budget)
            chosen = [trials.best(budget) for budget in budgets]
            for point, index in enumerate(chosen, start=1):
                if index is not None:
                    yield trials.kept(index, point, folder)
        if None not in chosen:
            return


def decoded(codec: Codec, path: Path, scale: int, height: int, width: int) -> NDArray[np.uint8]:
    """Decode a file of a curve to the original's size.

    Args:
        codec: that made the file.
        path: the file.
        scale: that the picture was scaled down by.
        height: rows of the original.
        width: its columns.

    Raises:
        CodecError: the codec failed.
    """
    sides = scaled_sides(scale, height, width)
    pixels = codec.decode(path, *sides)
    if sides == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def scaled_sides(scale: int, height: int, width: int) -> tuple[int, int]:
    """Height and width of a picture that is scaled down, rounded up."""
    return -(-height // scale), -(-width // scale)


@dataclass
class _Trials:
    """A picture at one scale, and the files that were made of it so far, by the setting's index."""

    codec: Codec
    picture: Path
    pixels: NDArray[np.uint8]
    scale: int
    scratch: Path
    scale_s: float = 0.0
    sizes: dict[int, int] = field(default_factory=dict)
    encode_s: dict[int, float] = field(default_factory=dict)
    last: tuple[int, NDArray[np.uint8], float] | None = None  # decoded: index, pixels, seconds

    def __post_init__(self) -> None:
        self.curve = f"{self.codec.name}/{self.scale}" if self.scale > 1 else self.codec.name
        self.source = self.picture
        if self.scale > 1:
            self.source = self.scratch / "scaled.png"
            height, width = scaled_sides(self.scale, *self.pixels.shape[:2])
            start = time.perf_counter()
            scaled = Image.fromarray(self.pixels).resize((width, height), Image.Resampling.LANCZOS)
            scaled.save(self.source, compress_level=1)
            self.scale_s = time.perf_counter() - start

    def path(self, index: int) -> Path:
        return self.scratch / f"{index}{self.codec.suffix}"

    def size(self, index: int) -> int:
        """Size of the file at a setting, which is coded once."""
        if index not in self.sizes:
            start = time.perf_counter()
            self.codec.encode(self.source, self.codec.settings[index], self.path(index))
            self.encode_s[index] = self.scale_s + time.perf_counter() - start
            self.sizes[index] = self.path(index).stat().st_size
        return self.sizes[index]

    def try_for(self, budget: int) -> None:
        """Code the largest file within a budget, and what it takes to know which one that is.

        Goes up from the files that are known to fit, in growing strides until one is too large, and
        bisects the last stride: no time goes into the large files of high settings.
        """
        count = len(self.codec.settings)
        low = 1 + max((i for i, size in self.sizes.items() if size <= budget), default=-1)
        stride = 1
        while low + stride <= count and self.size(low + stride - 1) <= budget:
            low += stride
            stride *= 2
        bisect_right(range(count), budget, low, min(low + stride - 1, count), key=self.size)

    def best(self, budget: int) -> int | None:
        """Index of the largest file within a budget of all that were made; of equal ones the last.

        None if all are larger.
        """
        within = [(size, index) for index, size in self.sizes.items() if size <= budget]
        return max(within)[1] if within else None

    def kept(self, index: int, point: int, folder: Path) -> Coded:
        """Put a file into its place, and decode it unless it was the last one that was decoded."""
        codec = self.codec
        path = coded_path(folder, self.curve, self.picture.stem, point, codec.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.path(index), path)
        if self.last is None or self.last[0] != index:
            start = time.perf_counter()
            pixels = decoded(codec, path, self.scale, *self.pixels.shape[:2])
            self.last = index, pixels, time.perf_counter() - start
        size, digest = _measured(path)
        setting = f"{codec.knob} {shown(codec.settings[index])}"
        return Coded(
            self.curve, point, setting, path, self.last[1], size, digest,
            self.encode_s[index], self.last[2],
        )  # fmt: skip


def _measured(path: Path) -> tuple[int, str]:
    """Size and digest of a file."""
    data = path.read_bytes()
    return len(data), hashlib.sha256(data).hexdigest()[:16]
