"""Train a pack's restorer: from index maps with holes to the network that fills them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vqcodec.bitstream.layout import PACKET_LAYOUTS
from vqcodec.errors import InputError
from vqcodec.indices.scan import packet_map
from vqcodec.nets.load import Nets, load
from vqcodec.nets.restorer import Restorer
from vqcodec.packs.store import Pack
from vqcodec.training.context import LOGIT, WORD
from vqcodec.training.context_loop import read_context
from vqcodec.training.context_maps import IndexMaps
from vqcodec.training.map_loop import HELD_OUT, MapRun, Say, begin, find_maps, goes_on
from vqcodec.training.map_recipes import RestorerRecipe
from vqcodec.training.masks import LEAST, random_mask
from vqcodec.training.perceptual import Perceptual
from vqcodec.training.schedule import Budget

JUDGE: Final = "squeeze"  # the net that judges what is painted; AlexNet is the yardstick
TESTED_LAYOUT = PACKET_LAYOUTS[9]  # 20 packets
TESTED_LOST = 4  # of them


class RestorerRun(MapRun):
    """The restorer's run; see `MapRun`.

    Args:
        net: the restorer.
        nets: of the pack, whose decoder paints.
        judge: the perceptual net of the run's last part, or None to learn what is likely alone.
        rest: what `MapRun` takes besides the network.
    """

    net: Restorer
    ema: Restorer
    how: RestorerRecipe

    def __init__(self, net: Restorer, nets: Nets, judge: Perceptual | None, *rest: Any) -> None:
        super().__init__(net, *rest)
        self.nets, self.judge = nets, judge
        shapes = self.maps.shapes
        is_held = np.arange(len(shapes)) % HELD_OUT == HELD_OUT - 1
        large = shapes.min(1) >= self.how.crop
        if not large.any():
            raise InputError(
                f"no photo has {self.how.crop} x {self.how.crop} indices: train on larger photos, "
                "or with a smaller crop."
            )
        self.held = np.flatnonzero(is_held) if is_held.any() else np.arange(len(shapes))
        seen = np.flatnonzero(~is_held & large)
        self.seen = seen if len(seen) else np.flatnonzero(large)

    def loss(self, random: np.random.Generator) -> Tensor:
        """Cross entropy at the erased positions of random crops of one tier, and how they look."""
        tier, side = self.maps.tiers[self.step % len(self.maps.tiers)], self.how.crop
        is_painting = self.judge is not None and self.share >= self.how.paint_from
        n_crops = self.how.paint_batch if is_painting else self.how.batch
        crops, erased = [], []
        for number in self.seen[random.integers(0, len(self.seen), n_crops)]:
            whole = self.maps.map(tier, int(number))
            top, left = random.integers(0, np.array(whole.shape) - side + 1)
            crops.append(whole[top : top + side, left : left + side])
            erased.append(random_mask(random, side, side))
        indices = torch.from_numpy(np.stack(crops).astype(np.int64)).to(self.nets.device)
        gone = torch.from_numpy(np.stack(erased)).to(self.nets.device)
        features = self.net(indices, ~gone, tier)[gone]
        logits = self.net.logits(features, tier)
        unlikely = F.cross_entropy(logits, indices[gone])
        if not is_painting:
            return unlikely
        latents = self.net.latents(features, logits, tier)
        return self.how.likelihood * unlikely + self._ugly(indices, gone, latents, tier)

    def _ugly(self, indices: Tensor, gone: Tensor, latents: Tensor, tier: int) -> Tensor:
        """Distance of the painted middle of crops to what it would be without losses."""
        assert self.judge is not None
        true = self.net.words[tier][indices]  # (B, h, w, E)
        filled = true.masked_scatter(gone[..., None], latents)
        start = (self.how.crop - self.how.paint_crop) // 2
        middle = slice(start, start + self.how.paint_crop)
        with torch.no_grad():
            real = self.nets.net.decode(true[:, middle, middle].permute(0, 3, 1, 2), tier)
            wanted = self.judge.features(real)
        fake = self.nets.net.decode(filled[:, middle, middle].permute(0, 3, 1, 2), tier)
        distance = self.judge.distance(self.judge.features(fake), wanted)  # (B,)
        loss = self.how.perceptual * distance + self.how.l1 * (fake - real).abs().mean((1, 2, 3))
        # Few losses are the usual case; without weights the rare picture full of gaps would lead.
        share = gone[:, middle, middle].float().mean((1, 2)).clamp_min(LEAST)
        return (loss / share.sqrt()).mean() / 2

    @torch.inference_mode()
    def progress(self, *, is_final: bool = False) -> str:
        """Bits per lost index when 4 of 20 packets are lost, by tier."""
        parts = []
        for tier in self.maps.tiers:
            random, total, count = np.random.default_rng(0), 0.0, 0
            for number in self.held[: 40 if is_final else 8]:
                whole = self.maps.map(tier, int(number))
                lost = random.permutation(TESTED_LAYOUT[0])[:TESTED_LOST]
                erased = np.isin(packet_map(*whole.shape, *TESTED_LAYOUT), lost)
                if erased.any():
                    loss = self._unlikely(whole, erased, tier)
                    total += loss * int(erased.sum())
                    count += int(erased.sum())
            parts.append(f"t{tier} {total / max(count, 1) / math.log(2):.3f}")
        return " ".join(parts)

    def _unlikely(self, whole: NDArray[np.integer], erased: NDArray[np.bool_], tier: int) -> float:
        """Mean cross entropy in nats at the erased positions of an (h, w) map."""
        indices = torch.from_numpy(whole.astype(np.int64)).to(self.nets.device)
        gone = torch.from_numpy(erased).to(self.nets.device)
        features = self.ema(indices[None], ~gone[None], tier)[0][gone]
        return float(F.cross_entropy(self.ema.logits(features, tier), indices[gone]))


def train_restorer(
    pack: Pack,
    how: RestorerRecipe,
    data: Sequence[Path],
    out: Path,
    say: Say,
    *,
    budget: Budget | None = None,
    judge: Perceptual | None = None,
    start: Restorer | None = None,
    is_resumed: bool = False,
    device: str = "cpu",
) -> Restorer:
    """Train the restorer of a pack.

    Args:
        pack: a complete one; its indices are what is learned.
        how: the recipe's table `[restorer]`.
        data: folders or tars of training photos.
        out: folder of the run.
        say: takes progress lines.
        budget: instead of the recipe's minutes.
        judge: perceptual net by which the run's last part judges what is painted; None leaves that
            out.
        start: a restorer of the same shape to go on from; None starts anew, with the words' learned
            columns of the context model where the pack has one: what it knows of words is known.
        is_resumed: go on with the run in `out`.
        device: "auto", "cpu" or "cuda[:N]".

    Returns:
        The averaged network.

    Raises:
        OutputExistsError: a run is in `out` already.
        InputError: photos, maps or start weights are missing or do not fit.
    """
    state = begin(out, is_resumed)
    nets = load(pack, device=device)
    maps = find_maps(out, nets, data, how.photos, say)
    torch.manual_seed(how.seed)
    net = Restorer(nets.codebooks, how.width, how.blocks, how.learned)
    if start is not None:
        _take_over(net, start)
    else:
        _begin_words(net, maps, pack)
    net.to(nets.device)  # the codewords are there already
    if judge is not None:
        judge.to(nets.device)
    left = goes_on(budget or Budget(60 * how.minutes), state)
    run = RestorerRun(net, nets, judge, maps, how, left, out, say)
    if state:
        run.resume(state)
    say(f"restorer: {sum(map(torch.numel, net.parameters())):,} weights, {left.name}")
    run.run()
    return run.ema


def _take_over(net: Restorer, start: Restorer) -> None:
    try:
        net.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise InputError(
            f"the restorer to start from is of another shape ({start.config}) than the recipe's "
            f"({net.config}): give a recipe with its numbers."
        ) from error


@torch.no_grad()
def _begin_words(net: Restorer, maps: IndexMaps, pack: Pack) -> None:
    """Set what the output has for each word to the context model's, else to its frequency."""
    having = pack.context_tiers()
    known = read_context(pack.weights_path) if having else {}
    for tier in maps.tiers:
        learned, bias = net.learned[str(tier)], net.bias[str(tier)]
        found = known.get(f"context.{tier}.learned")
        if found is not None and found.shape == learned.shape:
            learned.copy_(found.float() / WORD)
            bias.copy_(known[f"context.{tier}.logit_bias"].float() / LOGIT * math.log(2))
        else:
            count = maps.counts(tier) + 0.5
            bias.copy_(torch.from_numpy(np.log(count / count.sum())).float())
