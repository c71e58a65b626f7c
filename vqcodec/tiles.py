"""Tiles with a halo, so that memory is bounded by the tile and not by the image.

The latent grid is cut into cores of about equal size; the network sees each core with a halo of
latent positions around it, and only the core is kept. At the edge of the image a tile ends where
the image ends, so the network meets the same zero padding as on the whole image.

Figures for the light net are in docs/TRAINING.md, "Tiles"; `tests/nets/test_tiles.py` holds them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

# Of nets that say nothing else (`Autoencoder.core`, `Autoencoder.whole`), and of restorers.
CORE = 64  # latent positions along a core's side at most: 1024 pixels at stride 16
WHOLE = 96 * 96  # grids of at most this many positions are not cut: 1536x1536 pixels

PARTS = 4  # of a sample, along each side

Progress = Callable[[int, int], None]  # called after each tile with (done, total)


@dataclass(frozen=True)
class Tile:
    """One tile, in latent positions: the core that is kept and the frame that the network sees.

    Attributes:
        core: rows and columns of the grid that this tile answers for.
        frame: the core and its halo, clipped to the grid.
        inner: the core's place inside the frame.
    """

    core: tuple[slice, slice]
    frame: tuple[slice, slice]
    inner: tuple[slice, slice]


def cut(h: int, w: int, halo: int, *, core: int = CORE, whole: int = WHOLE) -> list[Tile]:
    """Cut an h x w grid into tiles, row after row.

    Args:
        h: rows of the grid, at least 1.
        w: columns of the grid, at least 1.
        halo: positions that the network sees around a core.
        core: largest side of a core.
        whole: grids of at most this many positions become one tile.

    Returns:
        Tiles whose cores cover every position exactly once.
    """
    if h * w <= whole:
        core = max(h, w)
    return [
        Tile(
            core=(slice(top, bottom), slice(left, right)),
            frame=(rows, columns),
            inner=(_inside(top, bottom, rows), _inside(left, right, columns)),
        )
        for top, bottom in _spans(h, core)
        for left, right in _spans(w, core)
        for rows, columns in [(_grown(top, bottom, halo, h), _grown(left, right, halo, w))]
    ]


def scaled(window: tuple[slice, slice], stride: int) -> tuple[slice, slice]:
    """The same window in pixels."""
    rows, columns = window
    return (
        slice(rows.start * stride, rows.stop * stride),
        slice(columns.start * stride, columns.stop * stride),
    )


def sample(h: int, w: int, side: int) -> list[list[tuple[slice, slice]]]:
    """Choose parts of an h x w grid that stand for all of it.

    Args:
        h: rows of the grid.
        w: columns of the grid.
        side: rows and columns of all parts together, at most.

    Returns:
        Windows by rows, spread evenly; joined, they are one picture.
    """
    return [[(rows, columns) for columns in _spread(w, side)] for rows in _spread(h, side)]


def each(items: list[Tile], progress: Progress | None) -> Iterator[Tile]:
    """Yield the tiles; between them, return their memory and tell the progress."""
    trim = _trimmer() if len(items) > 1 else None
    for done, item in enumerate(items, 1):
        yield item
        if trim is not None:
            # glibc keeps freed blocks below 32 MB for itself, and what small things lie between
            # them keeps the next tile's large tensors from fitting in: memory grew with every
            # tile, by 270 MB in decoding 24 megapixels. The price is page faults: 2 to 11 % of the
            # processor time, measured on a virtual machine.
            trim(0)
        if progress is not None:
            progress(done, len(items))


@lru_cache(maxsize=1)
def _trimmer() -> Callable[[int], int] | None:
    """Find glibc's `malloc_trim`, which hands free memory back; None with another C library."""
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def _spread(size: int, side: int) -> list[slice]:
    """Cut `PARTS` equal spans out of [0, size), the first and the last at its ends."""
    if size <= side:
        return [slice(0, size)]
    length = max(1, side // PARTS)
    starts = [round(n * (size - length) / (PARTS - 1)) for n in range(PARTS)]
    return [slice(start, start + length) for start in starts]


def _spans(size: int, core: int) -> Iterator[tuple[int, int]]:
    """Cut [0, size) into the fewest spans of at most `core`, as equal as can be."""
    parts = -(-size // core)
    for n in range(parts):
        yield size * n // parts, size * (n + 1) // parts


def _grown(start: int, stop: int, halo: int, size: int) -> slice:
    return slice(max(0, start - halo), min(size, stop + halo))


def _inside(start: int, stop: int, frame: slice) -> slice:
    return slice(start - frame.start, stop - frame.start)
