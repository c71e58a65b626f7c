"""One image through one codec: real files, figures, a copy to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval import codecs, images, metrics
from eval.codecs import command, search
from eval.codecs.base import Codec
from eval.codecs.search import Coded
from eval.codecs.vqc import Vqc
from eval.rows import OURS, RATES_BPP, Row

DIGITS = 6  # that figures are rounded to: what is left is the same in every run
SHOWN = {"quality": 90, "method": 2}  # of the copies for looking at


@dataclass(frozen=True)
class Plan:
    """What a run measures; a worker gets a copy.

    Attributes:
        folder: the results folder.
        codecs: names that `codecs.load` knows, or TOML files; `OURS` is ours.
        tiers: of ours.
        model: a pack's name or folder; None takes the default.
        metrics: names that `metrics.load` knows.
        weights: folder of the metrics' weights, or None.
        max_side: larger images are scaled down to it, in pixels; None for none.
        rdo: our encoder's option; None passes nothing.
    """

    folder: Path
    codecs: tuple[str, ...]
    tiers: tuple[int, ...]
    model: str | None
    metrics: tuple[str, ...]
    weights: Path | None
    max_side: int | None = None
    rdo: float | None = None


@cache
def _meters(plan: Plan) -> list[metrics.Metric]:
    return metrics.load(plan.metrics, plan.weights)[0]


@cache
def open_codec(plan: Plan, name: str) -> Codec:
    """Make one of the codecs of a plan.

    Raises:
        CodecAbsentError: it cannot run here.
        CodecError: there is no such model, or a TOML file is wrong.
    """
    if name == OURS:
        return Vqc(plan.model, threads=1, settings=plan.tiers, rdo=plan.rdo)
    return codecs.load(name) if name in codecs.NAMES else command.load(Path(name))


def budgets(height: int, width: int) -> list[int]:
    """Bytes of a file at each of `RATES_BPP`, rounded down."""
    return [int(rate * height * width / 8) for rate in RATES_BPP]


def read(plan: Plan, path: Path) -> NDArray[np.uint8]:
    """Read an image as the run measures it, (H, W, 3).

    Raises:
        ValueError: it cannot be read.
    """
    pixels = images.read_rgb(path)
    if plan.max_side is None or max(pixels.shape[:2]) <= plan.max_side:
        return pixels
    picture = Image.fromarray(pixels)
    picture.thumbnail((plan.max_side, plan.max_side), Image.Resampling.LANCZOS, reducing_gap=None)
    return np.asarray(picture)


def measure(plan: Plan, name: str, path: Path, codec_name: str) -> list[Row]:
    """Take an image through a codec's whole curve; what it leaves lies in the results folder.

    Args:
        plan: of the run.
        name: the image's.
        path: the image.
        codec_name: one of `plan.codecs`.

    Raises:
        ValueError: the image cannot be read.
        CodecError: the codec failed.
    """
    pixels = read(plan, path)
    codec, meters = open_codec(plan, codec_name), _meters(plan)
    shown = plan.folder / "pictures" / name
    shown.mkdir(parents=True, exist_ok=True)
    _show(pixels, shown / "original.webp")
    figures: dict[tuple[str, str], dict[str, float | None]] = {}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch) / f"{name}.png"
        Image.fromarray(pixels).save(picture, compress_level=1)
        for coded in _points(codec, picture, pixels, plan.folder / "files"):
            same = (coded.codec, coded.sha256)  # a file that serves two points is measured once
            if same not in figures:
                figures[same] = {meter.name: _figure(meter, pixels, coded) for meter in meters}
            rows.append(_row(plan, name, pixels, coded, figures[same]))
    return rows


def _points(
    codec: Codec, picture: Path, pixels: NDArray[np.uint8], folder: Path
) -> Iterator[Coded]:
    if isinstance(codec, Vqc):
        return search.all_tiers(codec, picture, pixels, folder)
    return search.at_budgets(codec, picture, pixels, budgets(*pixels.shape[:2]), folder)


def decoded(plan: Plan, row: Row) -> NDArray[np.uint8]:
    """Decode a row's file again, to (height_px, width_px, 3)."""
    name, _, scale = row.codec.partition("/")
    (codec,) = (c for n in plan.codecs if (c := open_codec(plan, n)).name == name)
    path, sides = plan.folder / str(row.file), (row.height_px, row.width_px)
    return search.decoded(codec, path, int(scale or 1), *sides)


def _figure(meter: metrics.Metric, pixels: NDArray[np.uint8], coded: Coded) -> float | None:
    value = meter(pixels, coded.pixels)
    return None if value is None else round(value, DIGITS)


def _show(pixels: NDArray[np.uint8], path: Path) -> None:
    # WebP ends at 16,383 pixels a side; a larger picture is shown smaller.
    picture = Image.fromarray(pixels)
    picture.thumbnail((16383, 16383))
    picture.save(path, "WEBP", **SHOWN)


def _row(
    plan: Plan,
    name: str,
    pixels: NDArray[np.uint8],
    coded: Coded,
    figures: dict[str, float | None],
) -> Row:
    """Keep a copy to look at; make the row."""
    height, width = pixels.shape[:2]
    shown = Path("pictures", name, f"{coded.codec.replace('/', '_')}-{coded.point}.webp")
    _show(coded.pixels, plan.folder / shown)
    return Row(
        image=name,
        height_px=height,
        width_px=width,
        codec=coded.codec,
        point=coded.point,
        setting=coded.setting,
        size_bytes=coded.size_bytes,
        bpp=round(images.bits_per_pixel(coded.size_bytes, height, width), DIGITS),
        overhead_bytes=coded.overhead_bytes,
        sha256=coded.sha256,
        file=coded.path.relative_to(plan.folder).as_posix(),
        picture=shown.as_posix(),
        metrics=figures,
        times={"encode_s": round(coded.encode_s, 4), "decode_s": round(coded.decode_s, 4)},
    )
