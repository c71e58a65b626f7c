"""Train a pack's context model: index maps, the loop, and a new pack that has the model in it.

OUT/maps.safetensors     index maps of training photos, made once
OUT/last.pt              training state, to go on from
OUT/NAME/                the pack, with the context model among its weights
"""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vqcodec.errors import InputError, OutputExistsError
from vqcodec.nets.load import load
from vqcodec.packs.store import Pack
from vqcodec.training import checkpoint
from vqcodec.training.context import ContextNet, loss_bits, offsets
from vqcodec.training.context_maps import IndexMaps, load_maps, make_maps, random_layout
from vqcodec.training.recipe import Context
from vqcodec.training.schedule import Budget, learning_rate

MAPS_NAME: Final = "maps.safetensors"
SAVE_EVERY_S, SAY_EVERY_S = 120.0, 60.0
EMA_EVERY = 4  # steps
HELD_OUT = 20  # every so many-th photo is not trained on: what is said of the progress is of these

Say = Callable[[str], None]


@dataclass
class ContextRun:
    """One run of the loop.

    Attributes:
        net: what is trained.
        maps: of training photos.
        how: the recipe's table.
        budget: time or steps.
        out: folder, there already.
        say: takes progress lines.
    """

    net: ContextNet
    maps: IndexMaps
    how: Context
    budget: Budget
    out: Path
    say: Say

    def __post_init__(self) -> None:
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=self.how.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        self.step = 0
        held = self.maps.photo % HELD_OUT == HELD_OUT - 1
        self.seen = np.flatnonzero(~held)
        self.held = np.flatnonzero(held) if held.any() else self.seen
        self.is_stopped = False

    def run(self) -> ContextNet:
        """Train until the budget is spent or SIGTERM comes; return the averaged network."""
        before = signal.signal(signal.SIGTERM, self._stop)
        saved = said = time.monotonic()
        try:
            while (share := self.budget.share(self.step)) < 1 and not self.is_stopped:
                self._step(share)
                now = time.monotonic()
                if now - said > SAY_EVERY_S:
                    said = now
                    self.say(f"{share:6.1%} step {self.step} {self.progress()}")
                if now - saved > SAVE_EVERY_S:
                    saved = now
                    self.save()
        finally:
            signal.signal(signal.SIGTERM, before)
        self.save()
        self.say(f"step {self.step}: {self.progress(20_000)}")
        return self.ema

    def _stop(self, *_: object) -> None:
        self.is_stopped = True

    def _step(self, share: float) -> None:
        how, random = self.how, np.random.default_rng((self.how.seed, self.step))
        rate = learning_rate(how.learning_rate, self.step, 100, share, 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        tier = self.maps.tiers[self.step % len(self.maps.tiers)]
        chosen = self.seen[random.integers(0, len(self.seen), how.batch)]
        n_dealt = int(how.dealt * how.batch)  # as in files of several packets
        dealt = self.maps.neighbours(tier, chosen[:n_dealt], offsets(), random_layout(random))
        whole = self.maps.neighbours(tier, chosen[n_dealt:], offsets())
        neighbours = torch.from_numpy(np.concatenate([dealt, whole]))
        targets = torch.from_numpy(self.maps.targets(tier, chosen))
        loss = loss_bits(self.net, neighbours, targets, tier)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        if self.step % EMA_EVERY == 0:
            decay = min(how.ema, self.step / (self.step + 20)) ** EMA_EVERY
            with torch.no_grad():
                pairs = zip(self.ema.parameters(), self.net.parameters(), strict=True)
                for kept, new in pairs:
                    kept.lerp_(new, 1 - decay)

    @torch.inference_mode()
    def progress(self, most: int = 4096) -> str:
        """Bits per index of held-out photos, averaged weights, by tier."""
        parts = []
        chosen = np.random.default_rng(0).permutation(self.held)[:most]
        for tier in self.maps.tiers:
            total = 0.0
            for part in np.array_split(chosen, -(-len(chosen) // 4096)):
                neighbours = torch.from_numpy(self.maps.neighbours(tier, part, offsets()))
                targets = torch.from_numpy(self.maps.targets(tier, part))
                total += float(loss_bits(self.ema, neighbours, targets, tier)) * len(part)
            parts.append(f"t{tier} {total / len(chosen):.3f}")
        return " ".join(parts)

    def save(self) -> None:
        """Write `last.pt`."""
        state = {
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent": self.budget.spent,
        }
        checkpoint.save_last(self.out / checkpoint.LAST_NAME, state)

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `save` wrote."""
        try:
            self.net.load_state_dict(state["net"])
            self.ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
        except (KeyError, RuntimeError, ValueError) as error:
            place = self.out / checkpoint.LAST_NAME
            raise InputError(f"{place}: of another model or recipe ({error}).") from error


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
    last = out / checkpoint.LAST_NAME
    if last.exists() and not is_resumed:
        raise OutputExistsError(
            f"{out}: a run is there already. Go on with --resume, or name another --out.", path=out
        )
    out.mkdir(parents=True, exist_ok=True)
    nets = load(pack)
    if (out / MAPS_NAME).exists():
        maps = load_maps(out / MAPS_NAME)
    else:
        maps = make_maps(nets, data, how.photos, say)
        maps.save(out / MAPS_NAME)
    torch.manual_seed(how.seed)
    net = ContextNet(nets.codebooks, how.hidden, how.blocks, how.learned)
    net.start_from({tier: maps.counts(tier) for tier in maps.tiers})
    if start is not None:
        say(f"from the context model of {start}: {net.take(read_context(start))}")
    state = checkpoint.load_last(last) if is_resumed and last.exists() else None
    spent = state["spent"] if state else 0.0
    given = budget or Budget(60 * how.minutes)
    run = ContextRun(
        net, maps, how, Budget(given.seconds, given.steps, spent, given.clock), out, say
    )
    if state:
        run.resume(state)
    say(f"context model: {sum(map(torch.numel, net.parameters())):,} weights, {given.name}")
    return run.run().tensors()


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
