"""What a float masked transformer of 4.9 million weights makes of index maps: bits per index.

    python docs/experiments/masked_transformer.py PACK --maps RUN/maps.safetensors --val PHOTOS \
        --tiers 1,4,8 --minutes 20

Positions are revealed in ten fixed passes from coarse to fine (as M2T, arXiv 2304.07313, does with
its own order), and each pass is predicted from all before it. `RUN` is a run of `vqcodec train
context`. Experiment 013; no part of the codec.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.training.context_maps import IndexMaps, load_maps, make_maps

WIDTH, LAYERS, HEADS, LEARNED = 256, 6, 8, 32
SIDES = 64  # rows and columns that there are positions for


def passes() -> np.ndarray:
    """The pass of every position of an 8 x 8 square: 0 first, 9 last."""
    number, out = 0, np.zeros((8, 8), np.int64)
    for step in (8, 4, 2):
        half = step // 2
        for row, column in ((half, half), (0, half), (half, 0)):
            number += 1
            out[row::step, column::step] = number
    return out


class Masked(nn.Module):
    """Tokens are codewords; queries meet codewords and learned columns, as in the codec."""

    def __init__(self, codewords: dict[int, Tensor]) -> None:
        super().__init__()
        self.words = codewords
        dim = next(iter(codewords.values())).shape[1]
        self.into, self.mask = nn.Linear(dim, WIDTH), nn.Parameter(torch.zeros(WIDTH))
        self.row = nn.Parameter(torch.randn(SIDES, WIDTH) * 0.02)
        self.column = nn.Parameter(torch.randn(SIDES, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH))
        self.query = nn.Linear(WIDTH, dim + LEARNED)
        table = {str(t): torch.zeros(len(w), LEARNED) for t, w in codewords.items()}
        self.learned = nn.ParameterDict(table)
        self.bias = nn.ParameterDict({str(t): torch.zeros(len(w)) for t, w in codewords.items()})
        self.tier = nn.ParameterDict({str(t): torch.zeros(WIDTH) for t in codewords})

    def forward(
        self, indices: Tensor, known: Tensor, tier: int, at: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """(B, h, w) indices and what is known of them to (B, h, w, K) logits."""
        height, width = indices.shape[1:]
        tokens = torch.where(known[..., None], self.into(self.words[tier][indices]), self.mask)
        row = self.row[at[0] : at[0] + height, None]
        tokens = tokens + row + self.column[at[1] : at[1] + width] + self.tier[str(tier)]
        x = self.query(self.body(tokens.flatten(1, 2)))
        keys = torch.cat([self.words[tier], self.learned[str(tier)]], 1)
        return (x @ keys.t() + self.bias[str(tier)]).unflatten(1, (height, width))


def tiled(height: int, width: int) -> Tensor:
    """The pass of every position."""
    square = np.tile(passes(), (-(-height // 8), -(-width // 8)))
    return torch.from_numpy(square[:height, :width])


@torch.inference_mode()
def bits(net: Masked, maps: IndexMaps, tier: int) -> float:
    """Code length per index of whole maps, all passes."""
    total, start = 0.0, 0
    for height, width in maps.shapes.tolist():
        flat = maps.values[tier][start : start + height * width].astype(np.int64)
        start += height * width
        indices, order = torch.from_numpy(flat).view(1, height, width), tiled(height, width)
        for number in range(10):
            now = order == number
            logits = net(indices, (order < number)[None], tier)[0][now]
            total += float(F.cross_entropy(logits, indices[0][now], reduction="sum"))
    return total / math.log(2) / start


def main() -> None:
    """Train within the time, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack")
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--tiers", default="1,4,8")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--photos", type=int, default=30, help="of the validation photos")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tiers = [int(tier) for tier in asked.tiers.split(",")]
    nets = load(store.find(asked.pack), device="cpu")
    nets.codebooks = {tier: nets.codebooks[tier] for tier in tiers}
    maps = load_maps(asked.maps)
    starts = np.cumsum(maps.shapes.prod(1)) - maps.shapes.prod(1)
    net = Masked(nets.codebooks)
    for tier in tiers:
        count = maps.counts(tier) + 0.5
        net.bias[str(tier)].data = torch.from_numpy(np.log(count / count.sum())).float()
    print(f"{sum(p.numel() for p in net.parameters()):,} weights", flush=True)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    random, begun, step = np.random.default_rng(0), time.process_time(), 0
    side, batch = 16, 8
    while (share := (time.process_time() - begun) / 60 / asked.minutes) < 1:
        rate = min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * rate
        tier, crops = tiers[step % len(tiers)], []
        for photo in random.integers(0, len(maps.shapes), batch):
            height, width = maps.shapes[photo]
            part = maps.values[tier][starts[photo] : starts[photo] + height * width]
            top, left = (random.integers(0, max(0, int(n) - side) + 1) for n in (height, width))
            crop = part.reshape(height, width)[top : top + side, left : left + side]
            crops.append(np.resize(crop, (side, side)).astype(np.int64))
        indices, order = torch.from_numpy(np.stack(crops)), tiled(side, side)
        known = torch.stack([order < int(n) for n in random.integers(0, 10, batch)])
        at = (int(random.integers(0, SIDES - side)), int(random.integers(0, SIDES - side)))
        loss = F.cross_entropy(net(indices, known, tier, at)[~known], indices[~known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f"step {step} loss {float(loss.detach()) / math.log(2):.3f}", flush=True)
    val = make_maps(nets, [asked.val], asked.photos, print)
    for tier in tiers:
        print(f"tier {tier}: {bits(net, val, tier):.3f} of {tier + 2} bits after {step} steps")


if __name__ == "__main__":
    main()
