"""What to put where indices are lost: squeeze and accuracy on validation photos, several ways.

    python docs/experiments/restoring.py PACK --val PHOTOS --lpips-weights NETS

Files of 20 packets in fixed coding, so many of them lost; distance is LPIPS on SqueezeNet to the
original, as an increase over the undamaged map. Experiment 018; no part of the codec.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eval.metrics.lpips import load_lpips
from eval.metrics.weights import Shelf
from vqcodec.indices.concealment import copy_neighbours
from vqcodec.indices.scan import packet_map
from vqcodec.nets.load import Nets, load
from vqcodec.nets.restorer import Restorer
from vqcodec.nets.restoring import LoadedRestorer, load_restorer
from vqcodec.packs import store
from vqcodec.pixels import frame
from vqcodec.training.photos import SHORTER_PX, read_photos

LAYOUT = (20, 8)  # packets and row step of FORMAT.md, section 5
ROUNDS, REPEATS = 4, 15

Map, Latents = NDArray[np.int64], NDArray[np.float32]


@torch.inference_mode()
def answers(net: Restorer, indices: Map, gone: NDArray[np.bool_], tier: int) -> tuple:
    """Chances (n, K) and latents (n, E) for the gaps."""
    lost, seen = torch.from_numpy(gone), torch.from_numpy(np.where(gone, 0, indices))
    features = net(seen[None], ~lost[None], tier)[0][lost]
    logits = net.logits(features, tier)
    return logits.softmax(1), net.latents(features, logits, tier)


def in_rounds(net: Restorer, indices: Map, gone: NDArray[np.bool_], tier: int) -> tuple:
    """Fill the surest gaps first, as MaskGIT does; filled ones count as received."""
    filled, left = np.where(gone, 0, indices), gone.copy()
    latents = net.words[tier].numpy()[filled]
    for number in range(1, ROUNDS + 1):
        chances, painted = answers(net, filled, left, tier)
        sure, likeliest = (part.numpy() for part in chances.max(1))
        n_left = int(gone.sum() * math.cos(math.pi / 2 * number / ROUNDS))
        kept = np.argsort(-sure)[: len(sure) - n_left]
        rows, columns = (part[kept] for part in np.nonzero(left))
        filled[rows, columns] = likeliest[kept]
        latents[rows, columns] = painted.numpy()[kept]
        left[rows, columns] = False
    return filled, latents


def ways(net: Restorer, indices: Map, gone: NDArray[np.bool_], tier: int) -> dict:
    """By name: the filled map and what to paint from."""
    words = net.words[tier]
    chances, painted = answers(net, indices, gone, tier)
    mean = chances @ words
    likeliest, nearest = chances.argmax(1), torch.cdist(mean, words).argmin(1)

    def put(found: torch.Tensor, latents: torch.Tensor) -> tuple[Map, Latents]:
        filled = np.where(gone, 0, indices)
        filled[gone] = found.numpy()
        out = words.numpy()[filled]
        out[gone] = latents.numpy()
        return filled, out

    copied = copy_neighbours(np.where(gone, -1, indices).astype(np.int32))
    return {
        "neighbour": (copied, words.numpy()[copied]),
        "likeliest word": put(likeliest, words[likeliest]),
        "word nearest to the expected": put(nearest, words[nearest]),
        "expected codeword": put(likeliest, mean),
        "painted": put(likeliest, painted),
        f"painted in {ROUNDS} rounds": in_rounds(net, indices, gone, tier),
    }


def seconds(restorer: LoadedRestorer, tier: int) -> list[float]:
    """Wall clock of restoring the map of a 768x512 picture that lost a fifth, ascending."""
    random = np.random.default_rng(0)
    indices = random.integers(0, len(restorer.net.words[tier]), (32, 48))
    indices[random.random(indices.shape) < 0.2] = -1
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        restorer.restore(indices, tier)
        taken.append(time.perf_counter() - begin)
    return sorted(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack")
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--lpips-weights", type=Path)
    parser.add_argument("--tiers", default="4,8")
    parser.add_argument("--losses", default=".2,.5")
    parser.add_argument("--photos", type=int, default=24)
    asked = parser.parse_args()
    pack = store.find(asked.pack)
    nets: Nets = load(pack, device="cpu")
    restorer = load_restorer(pack, device="cpu")
    net = restorer.net
    metric = load_lpips("squeeze", Shelf(asked.lpips_weights, large=False))
    for threads in (2, 1):
        torch.set_num_threads(threads)
        for tier in map(int, asked.tiers.split(",")):
            taken = seconds(restorer, tier)
            middle = taken[len(taken) // 2]
            print(f"tier {tier}, {threads} threads: {middle:.3f} s, at best {taken[0]:.3f} s")
    photos = list(read_photos(asked.val, most=asked.photos, shorter_px=SHORTER_PX))
    for tier in map(int, asked.tiers.split(",")):
        for loss in map(float, asked.losses.split(",")):
            found: dict[str, list[tuple[float, float]]] = {}
            for number, (_, pixels) in enumerate(photos):
                height, width = pixels.shape[:2]
                indices = nets.to_indices(frame.pad(pixels, nets.stride), tier).astype(np.int64)
                lost = np.random.default_rng(number).permutation(LAYOUT[0])[: int(loss * LAYOUT[0])]
                gone = np.isin(packet_map(*indices.shape, *LAYOUT), lost)
                whole = metric(pixels, nets.to_pixels(indices, tier)[:height, :width])
                for name, (filled, latents) in ways(net, indices, gone, tier).items():
                    picture = nets.from_latents(latents, tier)[:height, :width]
                    right = float((filled == indices)[gone].mean())
                    found.setdefault(name, []).append((metric(pixels, picture) - whole, right))
            for name, figures in found.items():
                more, right = np.mean(figures, axis=0)
                line = f"tier {tier} loss {loss:g} {name}: +{more:.4f}, {right:.3f} right"
                print(line, flush=True)


if __name__ == "__main__":
    main()
