"""Tiles with a halo, so that memory is bounded by the tile and not by the image.

The latent grid is cut into cores of about equal size; the network sees each core with a halo of
latent positions around it, and only the core is kept. At the edge of the image a tile ends where
the image ends, so the network meets the same zero padding as on the whole image.

Figures for the light net are in docs/TRAINING.md, "Tiles"; `tests/nets/test_tiles.py` holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Of nets that say nothing else (`Autoencoder.core`, `Autoencoder.whole`), and of restorers.
CORE = 64  # latent positions along a core's side at most: 1024 pixels at stride 16
WHOLE = 96 * 96  # grids of at most this many positions are not cut: 1536x1536 pixels


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


def _spans(size: int, core: int) -> Iterator[tuple[int, int]]:
    """Cut [0, size) into the fewest spans of at most `core`, as equal as can be."""
    parts = -(-size // core)
    for n in range(parts):
        yield size * n // parts, size * (n + 1) // parts


def _grown(start: int, stop: int, halo: int, size: int) -> slice:
    return slice(max(0, start - halo), min(size, stop + halo))


def _inside(start: int, stop: int, frame: slice) -> slice:
    return slice(start - frame.start, stop - frame.start)
