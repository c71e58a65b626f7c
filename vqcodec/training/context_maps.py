"""Index maps of photos, and random positions of them with their neighbours.

Training data of the context model (FORMAT.md, "Coding mode 2"): maps come from a finished pack, so
that the model sees the indices that it will code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vqcodec.bitstream.layout import CONTEXT_BLOCK, PACKET_LAYOUTS
from vqcodec.errors import InputError
from vqcodec.nets.load import Nets
from vqcodec.pixels import frame
from vqcodec.training.photos import read_photos

SHORTER_PX = 512  # as in training: larger photos show little at full size
REACH = 12  # positions of margin around every map, the farthest offset of the format


class IndexMaps:
    """The maps of many photos at every tier, each inside a margin that is "outside".

    Args:
        shapes: (n, 2) height and width of every map.
        values: by tier, all maps one after the other in raster order, uint16.

    Attributes:
        tiers: those that there are, ascending.
        photo: (n,) the map of every position.
    """

    def __init__(self, shapes: NDArray[np.integer], values: dict[int, NDArray[np.uint16]]) -> None:
        self.shapes = np.asarray(shapes, np.int64)
        self.values = dict(sorted(values.items()))
        self.tiers = list(self.values)
        # Position p of the raster order of all maps: its row, column and place in the canvas.
        heights, widths = self.shapes.T
        self._pitch = int(widths.max()) + 2 * REACH  # one canvas width for all: offsets are fixed
        counts = heights * widths
        self._starts = np.cumsum(counts) - counts
        of_map = self.photo = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(of_map)) - np.repeat(self._starts, counts)
        self.row, self.column = np.divmod(within, widths[of_map])
        tops = np.cumsum(heights + 2 * REACH) - (heights + 2 * REACH)
        self._place = (tops[of_map] + REACH + self.row) * self._pitch + REACH + self.column
        self._size = int((heights + 2 * REACH).sum()) * self._pitch
        self._canvas = {tier: self._drawn(tier) for tier in self.tiers}

    def __len__(self) -> int:
        """Number of positions of one tier."""
        return len(self._place)

    def _drawn(self, tier: int) -> NDArray[np.uint16]:
        size = 1 << (tier + 2)
        canvas = np.full(self._size, size + 1, np.uint16)
        canvas[self._place] = self.values[tier]
        return canvas

    def map(self, tier: int, number: int) -> NDArray[np.uint16]:
        """Return the map of a photo, (h, w)."""
        shape, start = self.shapes[number], self._starts[number]
        return self.values[tier][start : start + shape.prod()].reshape(shape)

    def targets(self, tier: int, chosen: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the indices (n,) at positions (n,)."""
        return self._canvas[tier][self._place[chosen]].astype(np.int64)

    def neighbours(
        self,
        tier: int,
        chosen: NDArray[np.integer],
        offsets: NDArray[np.integer],
        layout: tuple[int, int] = (1, 0),
    ) -> NDArray[np.int64]:
        """Gather the neighbours of positions.

        Args:
            tier: of the maps.
            chosen: (n,) positions, 0 to len(self) - 1.
            offsets: (M, 2) rows and columns, causal.
            layout: packets and row step; neighbours in other packets are unknown.

        Returns:
            (n, M): the index, K where it is unknown, K + 1 outside the map.
        """
        size = 1 << (tier + 2)
        steps = offsets[:, 0] * self._pitch + offsets[:, 1]
        found = self._canvas[tier][self._place[chosen][:, None] + steps].astype(np.int64)
        if layout[0] > 1:
            row, column = self.row[chosen][:, None], self.column[chosen][:, None]
            here = _packet(row, column, layout)
            there = _packet(row + offsets[:, 0], column + offsets[:, 1], layout)
            found[(here != there) & (found != size + 1)] = size
        return found

    def counts(self, tier: int) -> NDArray[np.int64]:
        """How often each index occurs, (K,)."""
        return np.bincount(self.values[tier], minlength=1 << (tier + 2)).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write to a `.safetensors` file."""
        save_file({"shapes": self.shapes, **{f"{t}": v for t, v in self.values.items()}}, path)


def _packet(
    row: NDArray[np.int64], column: NDArray[np.int64], layout: tuple[int, int]
) -> NDArray[np.int64]:
    n_packets, step = layout
    height, width = CONTEXT_BLOCK
    return (column // width + step * (row // height)) % n_packets


def load_maps(path: Path) -> IndexMaps:
    """Read what `IndexMaps.save` wrote.

    Raises:
        InputError: missing or broken.
    """
    try:
        tensors = load_file(path)
        shapes = tensors.pop("shapes")
        return IndexMaps(shapes, {int(tier): values for tier, values in tensors.items()})
    except (OSError, SafetensorError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path}: not index maps ({error}). Delete it.", path=path) from error


def make_maps(
    nets: Nets, data: Sequence[Path], n_photos: int, say: Callable[[str], None]
) -> IndexMaps:
    """Encode photos at every tier of a model.

    Args:
        nets: a pack's, so that the indices are those of the model as it is used.
        data: folders or tars of photos.
        n_photos: how many to take, the first in order of name.
        say: takes progress lines.

    Raises:
        InputError: there are no photos.
    """
    shapes: list[tuple[int, int]] = []
    parts: dict[int, list[NDArray[np.uint16]]] = {tier: [] for tier in sorted(nets.codebooks)}
    sources = (read_photos(source, shorter_px=SHORTER_PX) for source in data)
    for seen, (_, pixels) in enumerate(islice(chain.from_iterable(sources), n_photos), 1):
        padded = frame.pad(pixels, nets.stride)
        for tier, flat in parts.items():
            indices = nets.to_indices(padded, tier)
            flat.append(indices.ravel().astype(np.uint16))
        shapes.append((padded.shape[0] // nets.stride, padded.shape[1] // nets.stride))
        if seen % 100 == 0:
            say(f"index maps of {seen} of {n_photos} photos")
    if not shapes:
        raise InputError(f"{', '.join(map(str, data))}: no photos found.")
    return IndexMaps(np.array(shapes), {tier: np.concatenate(p) for tier, p in parts.items()})


def random_layout(random: np.random.Generator) -> tuple[int, int]:
    """Draw a packet layout with more than one packet."""
    return PACKET_LAYOUTS[int(random.integers(1, len(PACKET_LAYOUTS)))]
