"""How our time and memory grow with the picture: from a quarter of a megapixel to 24 and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval import images
from eval.rounds import Cost, Subject, Worker, exponent, figures, run_measured, take_turns
from eval.warm import VERBS

SIZES = (0.25, 1.0, 4.0, 12.0, 24.0)
ONCE_ABOVE = 4.0  # megapixels: larger pictures take a minute, and have their drift behind them
TINY = (16, 16)  # a picture that takes no memory: what remains is the program with its model


def sides(megapixels: float) -> tuple[int, int]:
    """Height and width of a picture in the proportion of 2 to 3; 24 is 4000 x 6000."""
    height = max(16, round((megapixels * 1e6 / 1.5) ** 0.5))
    return height, max(16, round(megapixels * 1e6 / height))


def write_mosaic(
    photos: Sequence[NDArray[np.uint8]], height: int, width: int, folder: Path
) -> Path:
    """Write a picture of a size, made of photos, as a PNG file."""
    path = folder / f"{width}x{height}.png"
    Image.fromarray(images.mosaic(photos, height, width)).save(path, compress_level=1)
    return path


def measure(
    subject: Subject,
    photos: Sequence[NDArray[np.uint8]],
    sizes: Sequence[float],
    repeats: int,
    folder: Path,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Time pictures of several sizes, cold and warm.

    Args:
        subject: ours.
        photos: that the pictures are made of.
        sizes: in megapixels.
        repeats: rounds of sizes up to `ONCE_ABOVE`; those above have one.
        folder: where the pictures and their files go.
        report: is told of every round.

    Returns:
        "start_rss_bytes": per verb, the peak on a picture of 16x16; "sizes": see `_size`;
        "exponent": per verb, of wall and processor time of warm runs over pixels;
        "growth_bytes_per_pixel": per verb, what the peak grows by from the smallest to the largest
        size. The last two are null where there are less than two sizes.
    """
    tiny = write_mosaic(photos, *TINY, folder)
    start = {
        verb: int(run_measured(subject.command(subject.task(verb, tiny, *TINY)))["peak_rss_bytes"])
        for verb in VERBS
    }
    shapes = [sides(size) for size in sorted(set(sizes))]
    paths = {shape: write_mosaic(photos, *shape, folder) for shape in shapes}
    costs: dict[tuple[str, str, tuple[int, int]], list[Cost]] = {}
    is_large = {shape: shape[0] * shape[1] > ONCE_ABOVE * 1.01e6 for shape in shapes}
    with Worker(subject) as worker:
        for verb in VERBS:
            worker.run(subject.task(verb, tiny, *TINY))  # loads the model
        for large, rounds in ((False, repeats), (True, 1)):
            actions: dict[tuple[str, str, tuple[int, int]], Callable[[], Cost]] = {}
            for shape in (shape for shape in shapes if is_large[shape] == large):
                for verb in VERBS:
                    task = subject.task(verb, paths[shape], *shape)
                    actions["cold", verb, shape] = partial(run_measured, subject.command(task))
                    actions["warm", verb, shape] = partial(worker.run, task)
            if actions:
                kind = "large pictures" if large else "small pictures"
                costs |= take_turns(
                    actions, rounds, lambda line, kind=kind: report(f"scaling, {kind}: {line}")
                )
    found = [_size(shape, costs, start) for shape in shapes]
    return {
        "start_rss_bytes": start,
        "sizes": found,
        "exponent": {verb: _exponents(found, verb) for verb in VERBS},
        "growth_bytes_per_pixel": {verb: _growth(found, verb) for verb in VERBS},
    }


def _size(
    shape: tuple[int, int],
    costs: dict[tuple[str, str, tuple[int, int]], list[Cost]],
    start: dict[str, int],
) -> dict[str, Any]:
    """One size: its sides, `rounds.figures` per run and verb, memory above the start per pixel."""
    height, width = shape
    pixels = height * width
    runs = {
        run: {verb: figures(costs[run, verb, shape], pixels) for verb in VERBS}
        for run in ("cold", "warm")
    }
    above = {
        verb: round((runs["cold"][verb]["peak_rss_bytes"] - start[verb]) / pixels, 2)
        for verb in VERBS
    }
    return {
        "megapixels": pixels / 1e6,
        "width_px": width,
        "height_px": height,
        **runs,
        "above_start_bytes_per_pixel": above,
    }


def _exponents(found: Sequence[dict[str, Any]], verb: str) -> dict[str, float | None]:
    pixels = [size["megapixels"] for size in found]
    out = {}
    for time in ("wall", "cpu"):
        rates = [size["warm"][verb][f"{time}_s_per_megapixel"]["median"] for size in found]
        seconds = [rate * size for rate, size in zip(rates, pixels, strict=True)]
        out[time] = exponent(pixels, seconds)
    return out


def _growth(found: Sequence[dict[str, Any]], verb: str) -> float | None:
    if len(found) < 2:
        return None
    small, large = (size["cold"][verb]["peak_rss_bytes"] for size in (found[0], found[-1]))
    pixels = (found[-1]["megapixels"] - found[0]["megapixels"]) * 1e6
    return round((large - small) / pixels, 2)
