"""What a run of `python -m eval loss` measures: cells, and parity that fits the bytes of a tier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

import vqcodec
from eval.codecs.base import CodecError

IID, BURSTS = "iid", "gilbert-elliott"
CHANNELS = (IID, BURSTS)
BURST = 3.0  # mean length in packets
RATES = (0.05, 0.1, 0.2, 0.3, 0.5)
MANY = (0.1, 0.2, 0.5)  # rates at which the restorers get all seeds
COMMON = 0.2  # the rate that everything is measured at
RESTORERS = ("transformer", "neighbour")
SIMPLE = ("mean", "none")  # at the common rate of the tiers in focus alone
MIN_PARITY = 2  # packets; with fewer, parity does not get a fair chance
MAX_SHARE, MAX_PACKETS = 4, 255  # of parity to data; of both, as the format has it
SEEDS_PER_IMAGE = 1000


@dataclass(frozen=True)
class Cell:
    """One mean of the results.

    Attributes:
        tier: whose bytes the file may take; its undamaged file is what increases are counted from.
        file_tier: of the file; below `tier` where parity packets take the rest of the bytes.
        has_parity: whether the file has parity packets.
        channel: one of `CHANNELS`; None where nothing is lost.
        loss: share of packets lost in the long run.
        restorer: what fills the gaps; None where nothing is lost.
        seeds: how many different losses of each image.
    """

    tier: int
    file_tier: int
    has_parity: bool
    channel: str | None
    loss: float
    restorer: str | None
    seeds: int


def plan(
    focus: Sequence[int],
    tiers: Sequence[int],
    restorers: Sequence[str],
    seeds: int,
    few: int,
    below: Mapping[int, int],
) -> list[Cell]:
    """List the cells of a run.

    Args:
        focus: tiers that get all channels and rates.
        tiers: of the pack; those out of focus get the common rate.
        restorers: of `RESTORERS`, the best first, which parity is measured with.
        seeds: of the cells that count.
        few: of the others.
        below: by tier in focus, the tier that is measured with parity in its bytes, see `below`.

    Returns:
        In the order of the results.
    """
    cells = []
    for tier in focus:
        cells.append(Cell(tier, tier, False, None, 0.0, None, 1))
        for restorer in restorers:
            cells += [
                Cell(tier, tier, False, IID, loss, restorer, seeds if loss in MANY else few)
                for loss in RATES
            ]
            cells += [Cell(tier, tier, False, BURSTS, loss, restorer, few) for loss in RATES]
        cells += [Cell(tier, tier, False, IID, COMMON, restorer, 1) for restorer in SIMPLE]
        if tier in below:
            lower = below[tier]
            cells.append(Cell(tier, lower, True, None, 0.0, None, 1))
            cells += [
                Cell(
                    tier,
                    lower,
                    True,
                    channel,
                    loss,
                    restorers[0],
                    seeds if channel == IID and loss in MANY else few,
                )
                for channel in CHANNELS
                for loss in RATES
            ]
    for tier in tiers:
        if tier not in focus:
            cells.append(Cell(tier, tier, False, None, 0.0, None, 1))
            cells += [Cell(tier, tier, False, IID, COMMON, restorer, 1) for restorer in restorers]
    return cells


def seed(number: int, turn: int) -> int:
    """Seed of a channel: it hangs on image and turn alone, so that all cells meet like losses.

    Args:
        number: of the image among the folder's, from 0.
        turn: number of the seed, from 0, less than `SEEDS_PER_IMAGE`.
    """
    return number * SEEDS_PER_IMAGE + turn


@cache
def file_sizes(
    height: int, width: int, tier: int, packets: int, model: str | None
) -> tuple[int, int]:
    """Bytes of a file in fixed coding without parity, and of a parity packet: a blank picture's.

    Raises:
        CodecError: the package refuses.
    """
    blank = np.zeros((height, width, 3), np.uint8)
    try:
        data = vqcodec.encode(
            blank,
            tier=tier,
            model=model,
            coding="fixed",
            n_packets=packets,
            fec=1 / packets,
            device="cpu",
            threads=1,
        )
    except (vqcodec.VqcError, ValueError) as error:
        raise CodecError(f"tier {tier} in {packets} packets: {error}") from error
    parity = vqcodec.describe(data).packets[packets].size_bytes
    return len(data) - parity, parity


def n_parity(
    height: int, width: int, tier: int, file_tier: int, packets: int, model: str | None
) -> int:
    """Most parity packets with which a file of `file_tier` is no larger than one of `tier` without.

    Raises:
        CodecError: the package refuses.
    """
    budget, _ = file_sizes(height, width, tier, packets, model)
    size, parity = file_sizes(height, width, file_tier, packets, model)
    return max(0, min((budget - size) // parity, MAX_SHARE * packets, MAX_PACKETS - packets))


def below(
    focus: Sequence[int],
    tiers: Sequence[int],
    sides: Iterable[tuple[int, int]],
    packets: int,
    model: str | None,
) -> dict[int, int]:
    """Choose for each tier the highest one below of which at least `MIN_PARITY` packets fit.

    Args:
        focus: tiers whose bytes are to be kept to.
        tiers: of the pack.
        sides: height and width of every picture; all get files of the same tier.
        packets: data packets of a file.
        model: a pack's name or folder; None takes the default.

    Returns:
        By tier in focus; one for which there is none is left out.

    Raises:
        CodecError: the package refuses.
    """
    sides = sorted(set(sides))
    found = {}
    for tier in focus:
        for lower in sorted((other for other in tiers if other < tier), reverse=True):
            if all(n_parity(*side, tier, lower, packets, model) >= MIN_PARITY for side in sides):
                found[tier] = lower
                break
    return found
