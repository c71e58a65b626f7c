"""How pictures fare when packets are lost: the same losses for every restorer, beside parity.

Ours alone, through the package's public names. Files are in fixed coding; `vqcodec.impair` loses
packets, `vqcodec.decode_with_losses` fills the gaps. The unit of work is an image with the file of
one tier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vqcodec
from eval import images, workers
from eval.codecs.base import CodecError
from eval.loss_bench import Setup, decode, encode, measure
from eval.loss_journal import Journal, Measured
from eval.loss_plan import below, n_parity, plan
from eval.loss_rows import COLUMNS, summarise
from eval.progress import Progress
from eval.sweep import Failure, name_images

SCHEMA = "vqcodec.eval.loss/1"


def restorers(
    setup: Setup, tier: int, wanted: Sequence[str]
) -> tuple[list[str], dict[str, str], str | None]:
    """Find out which restorers the pack has, with a tiny file of two packets that loses one.

    Args:
        setup: of the run.
        tier: of the pack.
        wanted: restorers.

    Returns:
        Those at hand, for each other one a line that says why, and the sha256 of the network's
        weights, None without one.

    Raises:
        CodecError: the package refuses for another reason than that the pack lacks one.
    """
    data = encode(np.zeros((64, 64, 3), np.uint8), tier, setup, packets=2)
    left = data[: vqcodec.describe(data).packets[1].offset]
    network = decode(left, setup, "neighbour").pack.manifest.restorer
    found, absent = [], {}
    for restorer in wanted:
        try:
            decode(left, setup, restorer)
            found.append(restorer)
        except CodecError as error:
            if network is not None:
                raise
            absent[restorer] = str(error)
    return found, absent, None if network is None else network.sha256


def run(
    paths: Sequence[Path],
    focus: Sequence[int],
    tiers: Sequence[int],
    kinds: Sequence[str],
    seeds: tuple[int, int],
    setup: Setup,
    jobs: int,
    journal: Journal,
    progress: Progress,
) -> dict[str, Any]:
    """Measure every image.

    Args:
        paths: the images.
        focus: tiers that get all channels and rates.
        tiers: of the pack.
        kinds: restorers, the best first.
        seeds: of the cells that count, and of the others.
        setup: what all share.
        jobs: worker processes.
        journal: what it knows is not measured again.
        progress: is told of every image and tier.

    Returns:
        "images", names of those measured; "parity", which files stand beside which tier; "decodes",
        how many losses were asked for and how many files had to be decoded; "failed", the other
        images, each told of once; "columns", "cells" and "rows", see `loss_rows.Figures`;
        "summary", see `loss_rows.summarise`.
    """
    failures: list[Failure] = []
    numbers: dict[str, int] = {}
    pictures: dict[str, NDArray[np.uint8]] = {}
    named = name_images(paths)
    for number, (name, path) in enumerate(named.items()):
        try:
            pictures[name] = images.read_rgb(path)
        except ValueError as error:
            failures.append(Failure(path.name, None, str(error)))
            progress.say(f"left out: {error}")
        else:
            numbers[name] = number
    sides = {name: pixels.shape[:2] for name, pixels in pictures.items()}
    lower = below(focus, tiers, sides.values(), setup.packets, setup.model)
    cells = plan(focus, tiers, kinds, *seeds, lower)
    files = sorted({cell.file_tier for cell in cells})
    places = {tier: [n for n, c in enumerate(cells) if c.file_tier == tier] for tier in files}
    done: dict[tuple[str, int], Measured] = {}
    keys: dict[tuple[str, int], str] = {}
    tasks = {}
    for name, number in numbers.items():
        for tier in files:
            mine = [cells[n] for n in places[tier]]
            keys[name, tier] = journal.key(pictures[name], number, mine)
            if known := journal.find(keys[name, tier]):
                done[name, tier] = known
            else:
                tasks[name, tier] = partial(measure, setup, named[name], number, mine)
    pictures.clear()
    if done:
        progress.say(f"known from before: {len(done)} of {len(keys)} files")
    with progress.over(len(tasks)):
        for count, ((name, tier), outcome) in enumerate(workers.run(tasks, jobs), start=1):
            place = f"{count}/{len(tasks)} {name}, tier {tier}"
            try:
                done[name, tier] = outcome()
            except (CodecError, ValueError) as error:
                failures.append(Failure(named[name].name, "vqcodec", str(error)))
                progress.say(f"{place}: {error}")
                progress.step(f"{place}: failed")
            else:
                journal.add(keys[name, tier], done[name, tier])
                progress.step(f"{place}: {done[name, tier][1]} decoded")
    whole = [name for name in numbers if all((name, tier) in done for tier in files)]
    rows = []
    for name in whole:
        row: list[Any] = [None] * len(cells)
        for tier in files:
            for place, found in zip(places[tier], done[name, tier][0], strict=True):
                row[place] = list(astuple(found))
        rows.append({"image": name, "figures": row})
    failed = {failure.image: failure for failure in reversed(failures)}  # of several the first
    return {
        "images": whole,
        "parity": _parity_told(lower, {sides[name] for name in whole}, setup),
        "decodes": {
            "losses": len(whole) * sum(cell.seeds for cell in cells if cell.channel),
            "decoded": sum(done[name, tier][1] for name in whole for tier in files),
        },
        "failed": [asdict(failed[image]) for image in sorted(failed)],
        "columns": list(COLUMNS),
        "summary": summarise(cells, [row["figures"] for row in rows]) if rows else [],
        "rows": rows,
    }


def _parity_told(
    lower: dict[int, int], sides: set[tuple[int, int]], setup: Setup
) -> list[dict[str, Any]]:
    return [
        {
            "tier": tier,
            "file_tier": file_tier,
            "packets": {
                f"{width}x{height}": n_parity(
                    height, width, tier, file_tier, setup.packets, setup.model
                )
                for height, width in sorted(sides)
            },
        }
        for tier, file_tier in lower.items()
    ]
