"""How far tiles of a network stray from the whole picture: halos, shared statistics.

    python docs/experiments/tiles.py RUN --val PHOTOS [--photos 4] [--scale 2]

RUN is a run or a pack, of which the base codebook is used. For every core and halo: PSNR between
the picture decoded whole and in tiles, its difference across the seams, and the share of indices
that encoding in tiles changes; tiles by themselves, after a look at a sample of all of the picture
(as the codec does), and after a look at all of it. Figures are in docs/TRAINING.md, "Tiles"; no
part of the codec.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vqcodec import tiles
from vqcodec.nets.autoencoder import Autoencoder
from vqcodec.nets.quantizer import nearest
from vqcodec.training.checkpoint import find_start, load_start
from vqcodec.training.photos import read_photos

HALOS, CORES = (4, 8, 12), (20,)
SIDE = 32  # of the sample, in positions
WAYS = ("alone", "sample", "all")
LARGEST_PX = 960  # of a side: sizes that the cores cut evenly


def pictures(data: Path, n: int, scale: int, stride: int) -> Iterator[NDArray[np.uint8]]:
    """Yield photos enlarged and cut to multiples of the stride."""
    for _, pixels in islice(read_photos(data), n):
        height, width = (
            min(LARGEST_PX, scale * size) // stride * stride for size in pixels.shape[:2]
        )
        large = Image.fromarray(pixels).resize((scale * pixels.shape[1], scale * pixels.shape[0]))
        yield np.asarray(large)[:height, :width]


def joined(whole: Tensor, h: int, w: int, side: int, stride: int) -> Tensor:
    """Parts of an image or of a latent grid (1, C, H, W), side by side."""
    rows = [
        torch.cat([whole[(..., *tiles.scaled(window, stride))] for window in row], -1)
        for row in tiles.sample(h, w, side)
    ]
    return torch.cat(rows, -2)


def levels(image: Tensor) -> NDArray[np.float64]:
    """(3, H, W) in [-1, 1] to whole 8-bit levels."""
    return image.clamp(-1, 1).add(1).mul(127.5).round().double().numpy()


def seams(image: NDArray[np.float64], cut: list[tiles.Tile], stride: int) -> NDArray[np.float64]:
    """Differences of neighbouring pixels on both sides of every seam, one after the other."""
    rows = {tile.core[0].start * stride for tile in cut} - {0}
    columns = {tile.core[1].start * stride for tile in cut} - {0}
    found = [(image[:, at] - image[:, at - 1]).ravel() for at in sorted(rows)]
    found += [(image[:, :, at] - image[:, :, at - 1]).ravel() for at in sorted(columns)]
    return np.concatenate(found)


def told(image: Tensor, whole: Tensor, cut: list[tiles.Tile], stride: int) -> list[float]:
    """PSNR and how seams differ from the whole picture's: mean, 99 % and largest, in levels."""
    a, b = levels(image), levels(whole)
    psnr = 10 * np.log10(255**2 / max(1e-9, np.square(a - b).mean()))
    jump = np.abs(seams(a, cut, stride) - seams(b, cut, stride))
    return [psnr, jump.mean(), float(np.quantile(jump, 0.99)), jump.max()]


def context(net: Autoencoder, way: str, look: Callable[[], object]) -> AbstractContextManager[None]:
    """What tiles are seen in."""
    return nullcontext() if way == "alone" else net.measured(look)


@torch.inference_mode()
def main() -> None:
    """Print one line per core, halo and way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--scale", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    start = load_start(find_start(given.run))
    net, words = start.net().eval(), start.base
    assert words is not None, "the base codebook is missing"
    words, stride = words.float(), net.stride
    figures: dict[tuple[str, int, int], list[list[float]]] = {}
    for pixels in pictures(given.val, given.photos, given.scale, stride):
        image = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        latent = net.encode(image, 1)[0]  # (D, h, w)
        h, w = latent.shape[1:]
        indices = nearest(latent.flatten(1).t(), words).view(h, w)
        codes = words[indices].permute(2, 0, 1)[None]
        whole = net.decode(codes, 1)[0]
        for core, halo, way in itertools.product(CORES, HALOS, WAYS):
            cut = tiles.cut(h, w, halo, core=core, whole=0)
            side = max(h, w) if way == "all" else SIDE
            sample = joined(image, h, w, side, stride), joined(codes, h, w, side, 1)
            differ, ours = 0, torch.empty_like(whole)
            with context(net, way, partial(net.encode, sample[0], 1)):
                for tile in cut:
                    seen = image[(..., *tiles.scaled(tile.frame, stride))]
                    inner = net.encode(seen, 1)[(0, slice(None), *tile.inner)]
                    found = nearest(inner.flatten(1).t(), words)
                    differ += int((found != indices[tile.core].flatten()).sum())
            with context(net, way, partial(net.decode, sample[1], 1)):
                for tile in cut:
                    part = net.decode(codes[(..., *tile.frame)], 1)[0]
                    inner = part[(slice(None), *tiles.scaled(tile.inner, stride))]
                    ours[(slice(None), *tiles.scaled(tile.core, stride))] = inner
            row = [*told(ours, whole, cut, stride), differ / (h * w)]
            figures.setdefault((way, core, halo), []).append(row)
        print(f"{pixels.shape[1]} x {pixels.shape[0]} pixels, {w} x {h} positions", flush=True)
        report(figures)


def report(figures: dict[tuple[str, int, int], list[list[float]]]) -> None:
    """Print means over photos."""
    for (way, core, halo), rows in figures.items():
        psnr, mean, most, largest, differ = np.mean(rows, 0)
        print(
            f"{way:6} core {core} halo {halo:2}: {psnr:.1f} dB, seams mean {mean:.2f} "
            f"99% {most:.1f} max {largest:.0f} levels, indices {differ:.1%} differ",
            flush=True,
        )


if __name__ == "__main__":
    main()
