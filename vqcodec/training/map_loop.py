"""The loop that learns from index maps: steps, averaged weights, saving, going on.

The context model and the restorer are trained by it; each brings its loss and says how far it is.

OUT/maps.safetensors     index maps of training photos, made once
OUT/last.pt              training state, to go on from
"""

from __future__ import annotations

import copy
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.errors import InputError, OutputExistsError
from vqcodec.nets.load import Nets
from vqcodec.training import checkpoint
from vqcodec.training.context_maps import IndexMaps, load_maps, make_maps
from vqcodec.training.schedule import Budget, learning_rate

MAPS_NAME: Final = "maps.safetensors"
SAVE_EVERY_S, SAY_EVERY_S = 120.0, 60.0
EMA_EVERY = 4  # steps
WARMUP_STEPS, GRADIENT_NORM = 100, 1.0
HELD_OUT = 20  # every so many-th photo is not trained on: what is said of the progress is of these

Say = Callable[[str], None]


class How(Protocol):
    """What a recipe's table says that the loop needs."""

    learning_rate: float
    weight_decay: float
    ema: float
    seed: int


class MapRun(ABC):
    """One run of the loop.

    Args:
        net: what is trained.
        maps: of training photos.
        how: the recipe's table.
        budget: time or steps.
        out: folder, there already.
        say: takes progress lines.
    """

    def __init__(
        self, net: nn.Module, maps: IndexMaps, how: How, budget: Budget, out: Path, say: Say
    ) -> None:
        self.net, self.maps, self.how = net, maps, how
        self.budget, self.out, self.say = budget, out, say
        self.ema = copy.deepcopy(net).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            net.parameters(), how.learning_rate, (0.9, 0.98), weight_decay=how.weight_decay
        )
        self.step, self.share = 0, 0.0
        self.is_stopped = False

    @abstractmethod
    def loss(self, random: np.random.Generator) -> Tensor:
        """Return the loss on random examples, at step `self.step` and share `self.share`."""

    @abstractmethod
    def progress(self, *, is_final: bool = False) -> str:
        """Say how well the averaged weights do on held-out photos."""

    def run(self) -> nn.Module:
        """Train until the budget is spent or SIGTERM comes; return the averaged network."""
        before = signal.signal(signal.SIGTERM, self._stop)
        saved = said = time.monotonic()
        try:
            while (share := self.budget.share(self.step)) < 1 and not self.is_stopped:
                self.share = share
                self._step()
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
        self.say(f"step {self.step}: {self.progress(is_final=True)}")
        return self.ema

    def _stop(self, *_: object) -> None:
        self.is_stopped = True

    def _step(self) -> None:
        rate = learning_rate(self.how.learning_rate, self.step, WARMUP_STEPS, self.share, 0.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self.loss(np.random.default_rng((self.how.seed, self.step)))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        self.step += 1
        if self.step % EMA_EVERY == 0:
            decay = min(self.how.ema, self.step / (self.step + 20)) ** EMA_EVERY
            with torch.no_grad():
                pairs = zip(self.ema.parameters(), self.net.parameters(), strict=True)
                for kept, new in pairs:
                    kept.lerp_(new, 1 - decay)

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


def begin(out: Path, is_resumed: bool) -> dict[str, Any] | None:
    """Make a run's folder, or read the state of the run that is in it.

    Raises:
        OutputExistsError: a run is in `out` already and is not to go on.
        InputError: its state is broken.
    """
    last = out / checkpoint.LAST_NAME
    if last.exists() and not is_resumed:
        raise OutputExistsError(
            f"{out}: a run is there already. Go on with --resume, or name another --out.", path=out
        )
    out.mkdir(parents=True, exist_ok=True)
    return checkpoint.load_last(last) if last.exists() else None


def find_maps(out: Path, nets: Nets, data: Sequence[Path], n_photos: int, say: Say) -> IndexMaps:
    """Read the run's index maps, or make them and keep them.

    Raises:
        InputError: photos are missing, or the maps are broken.
    """
    if (out / MAPS_NAME).exists():
        return load_maps(out / MAPS_NAME)
    maps = make_maps(nets, data, n_photos, say)
    maps.save(out / MAPS_NAME)
    return maps


def goes_on(given: Budget, state: Mapping[str, Any] | None) -> Budget:
    """Return the budget less what the earlier run has spent of it."""
    spent = state["spent"] if state else 0.0
    return Budget(given.seconds, given.steps, spent, given.clock)
