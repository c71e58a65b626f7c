"""One image, packets lost from its file, what comes of it: decoded, measured, and kept in mind.

What a picture becomes hangs on the file, the restorer and which data packets stay lost, so each
such set is decoded and measured once; where parity gives all back, or nothing arrived, nothing is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vqcodec
from eval import images, metrics
from eval.codecs.base import CodecError
from eval.loss_plan import BURST, Cell, n_parity, seed
from eval.loss_rows import Figures, Outcome, figures

METRICS = ("psnr_db", "lpips_alex")
GREY = 128  # of the picture of which nothing arrived


@dataclass(frozen=True)
class Setup:
    """What all images share; a worker gets a copy.

    Attributes:
        model: a pack's name or folder; None takes the default.
        packets: data packets of a file.
        weights: folder of the metrics' weights, or None.
    """

    model: str | None
    packets: int
    weights: Path | None


def meters(weights: Path | None) -> list[metrics.Metric]:
    """Load PSNR and LPIPS, in the order of `METRICS`.

    Raises:
        CodecError: LPIPS's weights are not at hand; the message says what to do.
    """
    found, absent = metrics.load(METRICS, weights)
    for name, remedy in absent.items():
        raise CodecError(f"no {name}: {remedy}")
    return found


@cache
def _meters(weights: Path | None) -> list[metrics.Metric]:
    return meters(weights)


def encode(
    pixels: NDArray[np.uint8], tier: int, setup: Setup, parity: int = 0, packets: int = 0
) -> bytes:
    """Make a file in fixed coding.

    Args:
        pixels: (H, W, 3).
        tier: of the pack.
        setup: of the run.
        parity: packets to add.
        packets: in place of the setup's.

    Raises:
        CodecError: the package refuses.
    """
    packets = packets or setup.packets
    try:
        return vqcodec.encode(
            pixels,
            tier=tier,
            model=setup.model,
            coding="fixed",
            n_packets=packets,
            fec=parity / packets,
            device="cpu",
            threads=1,
        )
    except (vqcodec.VqcError, ValueError) as error:
        raise CodecError(f"tier {tier} in {packets} packets: {error}") from error


def decode(data: bytes, setup: Setup, restorer: str | None = None) -> vqcodec.Decoded:
    """Decode what is left of a file.

    Raises:
        CodecError: the package refuses.
    """
    try:
        return vqcodec.decode_with_losses(
            data, model=setup.model, restorer=restorer, device="cpu", threads=1
        )
    except vqcodec.VqcError as error:
        raise CodecError(f"restorer {restorer}: {error}") from error


def impair(data: bytes, cell: Cell, number: int, turn: int) -> bytes:
    """Send a file through a cell's channel; see `loss_plan.seed`."""
    assert cell.channel is not None
    return vqcodec.impair(
        data, loss=cell.loss, model=cell.channel, burst=BURST, seed=seed(number, turn)
    )


def missing(data: bytes, left: bytes) -> frozenset[int]:
    """Say which data packets of a file cannot be had from what is left of it.

    Args:
        data: the file.
        left: whole packets of it, behind the magic.

    Returns:
        Indices of data packets; none where as many packets are left as there are data packets, for
        then parity gives the others back.
    """
    whole = vqcodec.describe(data)
    everything = frozenset(range(whole.n_packets))
    if len(left) <= whole.packets[0].offset:
        return everything
    arrived = {packet.index for packet in vqcodec.describe(left).packets}
    return frozenset() if len(arrived) >= whole.n_packets else everything - arrived


class Bench:
    """One image at the tier of one file, and what is known of its losses.

    Args:
        pixels: the original, (H, W, 3).
        data: an undamaged file of it.
        setup: of the run.

    Attributes:
        undamaged: what comes of the whole file.
        n_decoded: how many files were decoded.
    """

    def __init__(self, pixels: NDArray[np.uint8], data: bytes, setup: Setup) -> None:
        self._pixels, self._setup = pixels, setup
        told = vqcodec.describe(data)
        self._counts = [packet.num_indices for packet in told.packets[: told.n_packets]]
        whole = decode(data, setup)
        self._indices = whole.indices
        self._known: dict[tuple[str | None, frozenset[int]], Outcome] = {}
        self.n_decoded = 1
        self.undamaged = self._measured(whole.pixels, 0, 0, None)

    def outcome(self, data: bytes, left: bytes, restorer: str | None) -> Outcome:
        """Measure what becomes of a damaged file.

        Args:
            data: the undamaged file: any with the same data packets as that of the bench.
            left: what the channel left of it.
            restorer: what fills the gaps.
        """
        gone = missing(data, left)
        n_erased = sum(self._counts[index] for index in gone)
        if not n_erased:
            return self.undamaged
        is_nothing = n_erased == self._indices.size
        key = (None if is_nothing else restorer), gone
        if key not in self._known:
            self._known[key] = self._nothing() if is_nothing else self._painted(left, restorer)
        return self._known[key]

    def _nothing(self) -> Outcome:
        return self._measured(np.full_like(self._pixels, GREY), self._indices.size, 0, None)

    def _painted(self, left: bytes, restorer: str | None) -> Outcome:
        found = decode(left, self._setup, restorer)
        self.n_decoded += 1
        right = (found.indices == self._indices) & found.erased
        return self._measured(
            found.pixels, int(found.erased.sum()), int(right.sum()), found.entropy_bits
        )

    def _measured(
        self, pixels: NDArray[np.uint8], n_erased: int, n_right: int, entropy: float | None
    ) -> Outcome:
        psnr, lpips = (meter(self._pixels, pixels) for meter in _meters(self._setup.weights))
        size = self._indices.size
        return Outcome(lpips, psnr, size, n_erased, n_right, entropy, n_erased == size)


def measure(
    setup: Setup, path: Path, number: int, cells: Sequence[Cell]
) -> tuple[list[Figures], int]:
    """Measure an image in the cells that share a file's tier.

    Args:
        setup: of the run.
        path: the image.
        number: of the image among the folder's, from 0.
        cells: all of one `file_tier`.

    Returns:
        Figures per cell, and how many files were decoded.

    Raises:
        ValueError: the image cannot be read.
        CodecError: the package refuses.
    """
    pixels = images.read_rgb(path)
    file_tier = cells[0].file_tier
    plain = encode(pixels, file_tier, setup)
    bench = Bench(pixels, plain, setup)
    files = {0: plain}
    found = []
    for cell in cells:
        parity = 0
        if cell.has_parity:
            sides = pixels.shape[:2]
            parity = n_parity(*sides, cell.tier, file_tier, setup.packets, setup.model)
        if parity not in files:
            files[parity] = encode(pixels, file_tier, setup, parity)
        data = files[parity]
        if cell.channel is None:
            found.append(figures(len(data), [bench.undamaged]))
            continue
        outcomes = [
            bench.outcome(data, impair(data, cell, number, turn), cell.restorer)
            for turn in range(cell.seeds)
        ]
        found.append(figures(len(data), outcomes))
    return found, bench.n_decoded
