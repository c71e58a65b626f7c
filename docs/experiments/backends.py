"""torch and onnxruntime on the same photos: do they agree, and what does each take?

For every photo and tier both backends encode and decode in turns; the first photo is done once
before. Told are the share of equal indices, pixels (both decode torch's indices), the processor
time of onnxruntime over torch's, and how many bytes an export has.

    python docs/experiments/backends.py --photos KODAK [--model photo-3] [--tiers 1,8,11]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eval import images
from vqcodec.nets.load import load as load_torch
from vqcodec.onnx.export import files_of
from vqcodec.onnx.load import load as load_onnx
from vqcodec.packs import store
from vqcodec.pixels import frame


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the processor seconds that it took."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--tiers", default="1,8,11")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    pack = store.find(given.model)
    nets = {
        "torch": load_torch(pack, device="cpu", threads=given.threads),
        "onnx": load_onnx(pack, threads=given.threads),
    }
    stride = pack.manifest.stride
    photos = [frame.pad(images.read_rgb(path), stride) for path in images.find_images(given.photos)]
    for net in nets.values():
        tier = pack.manifest.default_tier
        net.to_pixels(net.to_indices(photos[0], tier), tier)
    spent: dict[str, list[float]] = {f"{name} {verb}": [] for name in nets for verb in "ed"}
    for tier in map(int, given.tiers.split(",")):
        equal, near, same, most = [], [], [], 0
        for number, photo in enumerate(photos):
            found, painted = {}, {}
            names = sorted(nets, reverse=bool(number % 2))
            for name in names:
                found[name], cost = timed(partial(nets[name].to_indices, photo, tier))
                spent[f"{name} e"].append(cost)
            for name in names:
                painted[name], cost = timed(partial(nets[name].to_pixels, found["torch"], tier))
                spent[f"{name} d"].append(cost)
            equal.append((found["torch"] == found["onnx"]).mean())
            error = np.abs(painted["torch"].astype(int) - painted["onnx"])
            most = max(most, int(error.max()))
            near.append((error <= 2).mean())
            same.append((error == 0).mean())
        print(
            f"tier {tier}: {len(photos)} photos, equal indices {np.mean(equal):.4%} (least "
            f"{min(equal):.4%}), pixels within 2: {np.mean(near):.4%}, equal: {np.mean(same):.4%}, "
            f"farthest {most}"
        )
    for verb, word in (("e", "encode"), ("d", "decode")):
        ratios = [a / b for a, b in zip(spent[f"onnx {verb}"], spent[f"torch {verb}"], strict=True)]
        quarters = statistics.quantiles(ratios, n=4)
        print(
            f"{word}: processor time of onnxruntime over torch's, median {quarters[1]:.2f} "
            f"(quartiles {quarters[0]:.2f} and {quarters[2]:.2f}), of {len(ratios)}; torch "
            f"{statistics.median(spent[f'torch {verb}']):.2f} s"
        )
    sizes = {name: len(data) for name, data in sorted(files_of(pack).items())}
    print("export: " + ", ".join(f"{name} {size:,}" for name, size in sizes.items()))
    print(f"export in all: {sum(sizes.values()):,} bytes")


if __name__ == "__main__":
    main()
