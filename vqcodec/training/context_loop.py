"""Train a pack's context model: from index maps to the integers that a pack stores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vqcodec.errors import InputError
from vqcodec.nets.load import load
from vqcodec.packs.store import Pack
from vqcodec.training.context import ContextNet, loss_bits, offsets
from vqcodec.training.context_maps import IndexMaps, random_layout
from vqcodec.training.map_loop import HELD_OUT, MapRun, Say, begin, find_maps, goes_on
from vqcodec.training.recipe import Context
from vqcodec.training.schedule import Budget


class ContextRun(MapRun):
    """The context model's run; see `MapRun`."""

    net: ContextNet
    ema: ContextNet
    how: Context

    def __init__(
        self, net: ContextNet, maps: IndexMaps, how: Context, budget: Budget, out: Path, say: Say
    ) -> None:
        super().__init__(net, maps, how, budget, out, say)
        held = maps.photo % HELD_OUT == HELD_OUT - 1
        self.seen = np.flatnonzero(~held)
        self.held = np.flatnonzero(held) if held.any() else self.seen

    def loss(self, random: np.random.Generator) -> Tensor:
        """Bits per index of random positions of one tier."""
        how, tier = self.how, self.maps.tiers[self.step % len(self.maps.tiers)]
        chosen = self.seen[random.integers(0, len(self.seen), how.batch)]
        n_dealt = int(how.dealt * how.batch)  # as in files of several packets
        dealt = self.maps.neighbours(tier, chosen[:n_dealt], offsets(), random_layout(random))
        whole = self.maps.neighbours(tier, chosen[n_dealt:], offsets())
        neighbours = torch.from_numpy(np.concatenate([dealt, whole]))
        targets = torch.from_numpy(self.maps.targets(tier, chosen))
        return loss_bits(self.net, neighbours, targets, tier)

    @torch.inference_mode()
    def progress(self, *, is_final: bool = False) -> str:
        """Bits per index by tier."""
        parts = []
        chosen = np.random.default_rng(0).permutation(self.held)[: 20_000 if is_final else 4096]
        for tier in self.maps.tiers:
            total = 0.0
            for part in np.array_split(chosen, -(-len(chosen) // 4096)):
                neighbours = torch.from_numpy(self.maps.neighbours(tier, part, offsets()))
                targets = torch.from_numpy(self.maps.targets(tier, part))
                total += float(loss_bits(self.ema, neighbours, targets, tier)) * len(part)
            parts.append(f"t{tier} {total / len(chosen):.3f}")
        return " ".join(parts)


def train_context(
    pack: Pack,
    how: Context,
    data: Sequence[Path],
    out: Path,
    say: Say,
    *,
    budget: Budget | None = None,
    start: Path | None = None,
    is_resumed: bool = False,
) -> dict[str, Tensor]:
    """Train the context model of a pack.

    Args:
        pack: a complete one; its indices are what is learned.
        how: the recipe's table `[context]`.
        data: folders or tars of training photos.
        out: folder of the run.
        say: takes progress lines.
        budget: instead of the recipe's minutes.
        start: weights with a context model of the same shape to go on from; None starts anew.
        is_resumed: go on with the run in `out`.

    Returns:
        The integer tensors by their keys in a pack.

    Raises:
        OutputExistsError: a run is in `out` already.
        InputError: photos, maps or start weights are missing or do not fit.
    """
    state = begin(out, is_resumed)
    nets = load(pack, device="cpu")  # where the small network learns
    maps = find_maps(out, nets, data, how.photos, say)
    torch.manual_seed(how.seed)
    net = ContextNet(nets.codebooks, how.hidden, how.blocks, how.learned)
    net.start_from({tier: maps.counts(tier) for tier in maps.tiers})
    if start is not None:
        say(f"from the context model of {start}: {net.take(read_context(start))}")
    left = goes_on(budget or Budget(60 * how.minutes), state)
    run = ContextRun(net, maps, how, left, out, say)
    if state:
        run.resume(state)
    say(f"context model: {sum(map(torch.numel, net.parameters())):,} weights, {left.name}")
    run.run()
    return run.ema.tensors()


def read_context(path: Path) -> dict[str, Tensor]:
    """Read the context model's tensors of a pack's weights.

    Raises:
        InputError: not readable, or there is none in it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            keys = [key for key in file.keys() if key.startswith("context.")]
            tensors = {key: file.get_tensor(key) for key in keys}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable safetensors file.", path=path) from error
    if not tensors:
        raise InputError(f"{path}: holds no context model.", path=path)
    return tensors
