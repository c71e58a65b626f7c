"""What the codings of the index map save: the same images in files of every coding.

Ours alone, through the package's public names: bytes of whole files and of their payloads. The
encoder is deterministic: all files of an image and tier hold the same indices, but for those in
which it weighs bits (`rdo`). The size of a file in fixed coding hangs on no index and is counted,
see `fixed_payload`; all other files are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import vqcodec
from eval import images, workers
from eval.codecs.base import CodecError, shown
from eval.progress import Progress
from eval.savings import PACKETS, Row, Size, summarise
from eval.sweep import Failure, name_images

SCHEMA = "vqcodec.eval.bits/1"
DEFAULT = "default"  # the weight that the package takes where none is given


def fixed_payload(dealt: Sequence[int], codebook_size: int) -> int:
    """Payload bytes of a file in fixed coding: whole bytes in each packet.

    Args:
        dealt: how many indices each packet has.
        codebook_size: a power of two.
    """
    bits = codebook_size.bit_length() - 1
    return sum(-(-count * bits // 8) for count in dealt)


@cache
def _dealt(height: int, width: int, packets: int, model: str | None) -> tuple[int, ...]:
    """How many indices each packet of a file in fixed coding has, by a blank picture's file."""
    blank = np.zeros((height, width, 3), np.uint8)
    data = vqcodec.encode(
        blank, model=model, coding="fixed", n_packets=packets, device="cpu", threads=1
    )
    return tuple(packet.num_indices for packet in vqcodec.describe(data).packets)


def measure(
    name: str, path: Path, tier: int, model: str | None, weights: Sequence[float | None]
) -> Row:
    """Code an image in all ways.

    Args:
        name: the image's.
        path: the image.
        tier: one that the pack has a context model for.
        model: a pack's name or folder; None takes the default.
        weights: of bits; None stands for the package's own.

    Raises:
        ValueError: the image cannot be read.
        CodecError: the package refuses.
    """
    pixels = images.read_rgb(path)
    asked: dict[str, dict[str, Any]] = {
        "table": {"coding": "table"},
        "context": {"coding": "context", "rdo": 0.0},
        **{_weight(w): {"coding": "context", "rdo": w} for w in weights},
        **{f"context/{n}": {"coding": "context", "n_packets": n} for n in PACKETS},
    }
    digest, told = hashlib.sha256(), {}
    for file, options in asked.items():
        try:
            data = vqcodec.encode(
                pixels, tier=tier, model=model, device="cpu", threads=1, **options
            )
        except vqcodec.VqcError as error:
            raise CodecError(f"{path.name}: tier {tier}, {file}: {error}") from error
        digest.update(data)
        told[file] = vqcodec.describe(data)
    one = told["context"]
    indices = sum(packet.num_indices for packet in one.packets)
    sizes = {file: Size(i.size_bytes, i.size_bytes - i.header_bytes) for file, i in told.items()}
    height, width = pixels.shape[:2]
    for packets, like in {1: one, **{n: told[f"context/{n}"] for n in PACKETS}}.items():
        dealt = (indices,) if packets == 1 else _dealt(height, width, packets, model)
        payload = fixed_payload(dealt, one.codebook_size)
        file = "fixed" if packets == 1 else f"fixed/{packets}"
        sizes[file] = Size(like.header_bytes + payload, payload)
    return Row(
        name, height, width, tier, one.codebook_size, indices, sizes, digest.hexdigest()[:16]
    )


def check_context(tiers: Sequence[int], model: str | None) -> None:
    """Make the smallest file of each tier, so that a pack without a context model is told at once.

    Raises:
        CodecError: the pack has none for one of the tiers.
    """
    for tier in tiers:
        try:
            vqcodec.encode(
                np.zeros((1, 1, 3), np.uint8),
                tier=tier,
                model=model,
                coding="context",
                device="cpu",
                threads=1,
            )
        except vqcodec.VqcError as error:
            raise CodecError(str(error)) from error


def _weight(weight: float | None) -> str:
    return f"rdo {DEFAULT if weight is None else shown(weight)}"


def run(
    paths: Sequence[Path],
    tiers: Sequence[int],
    model: str | None,
    weights: Sequence[float | None],
    jobs: int,
    progress: Progress,
) -> dict[str, Any]:
    """Code every image at every tier.

    Args:
        paths: the images.
        tiers: of ours.
        model: a pack's name or folder; None takes the default.
        weights: of bits, see `measure`.
        jobs: worker processes.
        progress: is told of every image and tier.

    Returns:
        "images", names of those measured; "failed", the others, each told of once; "summary", see
        `savings.summarise`; "rows". An image that fails at a tier is in no tier's mean.
    """
    failures: list[Failure] = []
    names: dict[str, Path] = {}
    for name, path in name_images(paths).items():
        try:
            images.read_rgb(path)
        except ValueError as error:
            failures.append(Failure(path.name, None, str(error)))
            progress.say(f"left out: {error}")
        else:
            names[name] = path
    tasks = {
        (name, tier): partial(measure, name, path, tier, model, tuple(weights))
        for name, path in names.items()
        for tier in tiers
    }
    done: dict[tuple[str, int], Row] = {}
    with progress.over(len(tasks)):
        for number, ((name, tier), outcome) in enumerate(workers.run(tasks, jobs), start=1):
            place = f"{number}/{len(tasks)} {name}, tier {tier}"
            try:
                done[name, tier] = outcome()
            except (CodecError, ValueError) as error:
                failures.append(Failure(names[name].name, "vqcodec", str(error)))
                progress.say(f"{place}: {error}")
                progress.step(f"{place}: failed")
            else:
                progress.step(f"{place}: {done[name, tier].sizes['context'].size_bytes:,} bytes")
    whole = [name for name in names if all((name, tier) in done for tier in tiers)]
    rows = [done[name, tier] for name in whole for tier in tiers]
    failed = {failure.image: failure for failure in reversed(failures)}  # of several the first
    return {
        "images": whole,
        "failed": [asdict(failed[image]) for image in sorted(failed)],
        "summary": summarise(rows),
        "rows": [asdict(row) for row in rows],
    }
