"""The training loop: one stage of a recipe within a budget, checkpointed, resumable.

All randomness of a step comes from (seed, step, process), so a run that was stopped goes on with
the same crops, tiers and windows as if it had not been.
"""

from __future__ import annotations

import copy
import functools
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vqcodec.errors import VqcError
from vqcodec.training import checkpoint
from vqcodec.training.losses import Judge
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import Stage
from vqcodec.training.schedule import Budget, Clock, deal, learning_rate, ramp
from vqcodec.training.tokenizer import Tokenizer
from vqcodec.training.watch import Watch
from vqcodec.training.world import World

SAVE_EVERY_S = 120.0
CRITIC_AHEAD = 0.02  # share of the budget by which the critic learns before it is listened to
EXPLODED, PATIENCE = 3.0, 20  # times the usual loss, for so many steps in a row: no way back


class Trainer:
    """Trains a `Tokenizer` by one `Stage`.

    Args:
        model: what to train, with its codebooks (without any: plain, see `Stage.plain_until`).
        stage: the recipe's table.
        tiers: tiers to deal to the crops.
        photos: training photos.
        judge: the losses.
        watch: takes the figures, in process 0.
        world: device, precision, other processes.
        out: folder of the stage, there already.
        fit: called once when plain training ends; gives the model its codebooks, in process 0
            those that count.
        clock: seconds; tests bring their own.
    """

    def __init__(
        self,
        model: Tokenizer,
        stage: Stage,
        tiers: list[int],
        photos: Photos,
        judge: Judge,
        watch: Watch,
        world: World,
        out: Path,
        fit: Callable[[Tokenizer], None] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.stage, self.tiers, self.photos = stage, tiers, photos
        self.judge, self.watch, self.world = judge, watch, world
        self.out, self.fit, self.clock = out, fit, clock
        self.step, self.spent, self.usual, self.n_high = 0, 0.0, float("inf"), 0
        self.done = ""  # the budget that was spent to the end
        self.model = model.to(world.device).to(memory_format=torch.channels_last)
        adam = functools.partial(torch.optim.AdamW, lr=stage.learning_rate, fused=True)
        critic = list(judge.critic.parameters()) or [nn.Parameter(torch.zeros(()))]
        self.critic_optimizer = adam(critic, betas=(0.5, 0.9), weight_decay=1e-4)
        self._rebuild()

    def _rebuild(self) -> None:
        """(Re)make what hangs on the model's list of parameters."""
        shared, own = self.model.tuned(self.stage.tune)
        # What does not learn is its own average: a large frozen network is there once.
        frozen = {id(p): p for p in self.model.parameters() if not p.requires_grad}
        self.ema = copy.deepcopy(self.model, frozen).requires_grad_(False)
        groups = [{"params": shared, "factor": 1.0}]
        groups.append({"params": own, "factor": self.stage.tier_rate})
        rate = self.stage.learning_rate
        self.optimizer = torch.optim.AdamW(
            groups, lr=rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self.shared_model = self.world.shared(self.model)

    # ---- state -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that `resume` needs."""
        parts = self._parts()
        return {key: part.state_dict() for key, part in parts.items()} | {
            "step": self.step,
            "spent": self.spent,
            "usual": self.usual,
            "books": {
                str(tier): len(self.model.books[str(tier)].basis) for tier in self.model.tiers
            },
        }

    def resume(self, path: Path) -> None:
        """Go on from `last.pt`: weights, averages, optimisers, step, time spent."""
        state = checkpoint.load_last(path)
        sizes: dict[str, int] = state["books"]
        if not self.model.books and sizes:  # the codebooks came after plain training
            self._make_room(sizes)
        for key, part in self._parts().items():
            part.load_state_dict(state[key])
        self.step, self.spent, self.usual = state["step"], state["spent"], state["usual"]

    def adopt_critic(self, path: Path) -> bool:
        """Start with the critic of another run's `last.pt`, if it is of the same kind."""
        state = checkpoint.load_last(path)["critic"]
        ours = self.judge.critic.state_dict()
        fits = {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in ours.items()}
        if fits:
            self.judge.critic.load_state_dict(state)
        return fits

    def _make_room(self, sizes: Mapping[str, int]) -> None:
        for tier, size in sizes.items():
            self.model.set_codebook(int(tier), torch.ones(size, self.model.net.latent_dim))
        self.model.to(self.world.device)
        self._rebuild()

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "ema": self.ema,
            "critic": self.judge.critic,
            "lecam": self.judge.lecam,
            "optimizer": self.optimizer,
            "critic_optimizer": self.critic_optimizer,
        }

    def save(self) -> None:
        """Write `last.pt` and `ema.safetensors`; not while the loss is out of bounds."""
        if self.world.is_first and not self.n_high:
            checkpoint.save_last(self.out / checkpoint.LAST_NAME, self.state())
            note = {"step": self.step, "seconds": round(self.spent), "done": self.done}
            checkpoint.save_ema(self.ema, self.out / checkpoint.EMA_NAME, **note)

    # ---- the loop ----------------------------------------------------------------------------

    def run(self, seconds: float | None, steps: int | None = None) -> None:
        """Train until the budget (earlier runs included) is spent.

        Raises:
            VqcError: a loss is not finite or has exploded; the last good checkpoint is kept.
            KeyboardInterrupt: Ctrl-C or SIGTERM, once the step is done and the run is saved.
        """
        budget = Budget(seconds, steps, self.spent, self.clock)
        saved = self.spent
        with _signals() as is_stopped:
            while (share := self.world.agreed(budget.share(self.step))) < 1:
                if self.fit and not self.model.books and share >= self.stage.plain_until:
                    self.fit_codebooks()
                figures = self.train_step(share)
                self.spent = budget.spent
                if self.world.is_first:
                    self.watch.add(figures, self.stage.batch * self.world.size)
                    self.watch.report(self.step, share, self.spent)
                    self.watch.pictures(self.ema.to_nets, self.step, self.spent)
                if self.spent - saved >= SAVE_EVERY_S:
                    self.save()
                    saved = self.spent
                if self.world.agreed(float(is_stopped())):
                    self.save()
                    raise KeyboardInterrupt
        self.done = budget.name
        self.save()
        if self.world.is_first:
            self.watch.close(self.ema.to_nets, self.step, self.spent)

    def fit_codebooks(self) -> None:
        """End plain training: the model gets its codebooks."""
        if self.fit is not None:
            self.fit(self.model)
        self.model.to(self.world.device)
        for book in self.model.books.values():
            self.world.spread(book.basis)
        self._rebuild()

    def train_step(self, share: float) -> dict[str, float | Tensor]:
        """Train on one batch; `share` of the budget is spent. Returns the figures by name."""
        stage = self.stage
        random = np.random.default_rng((stage.seed, self.step, self.world.rank))
        rate = learning_rate(
            stage.learning_rate, self.step, stage.warmup_steps, share, stage.decay_from
        )
        _set_rate(self.optimizer, rate)
        _set_rate(self.critic_optimizer, rate * stage.critic_rate)
        with torch.profiler.record_function("data"):
            image = self.photos.batch(stage.batch, random)
            tier = deal(self.tiers, stage.batch, random).to(image.device)
        with torch.profiler.record_function("network"), self.world.autocast():
            decoded, commitment, indices = self.shared_model(image, tier)
        is_judged = bool(stage.critic) and share >= stage.critic_from
        with torch.profiler.record_function("judge"):
            weight = stage.critic * ramp(share, stage.critic_from) if is_judged else 0.0
            gradient, terms = self.judge.gradient(decoded, image, weight, random)
        with torch.profiler.record_function("network"):
            self.optimizer.zero_grad(set_to_none=True)
            pushes = [
                (decoded, gradient),
                (commitment, torch.full_like(commitment, stage.commitment)),
            ]
            # Plain training has no commitment; codebooks alone do not reach the picture.
            pushes = [pair for pair in pushes if pair[0].requires_grad]
            torch.autograd.backward(*zip(*pushes, strict=True))
            length = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        terms |= {"commitment": commitment.detach(), "gradient": length}
        self._check(terms)
        with torch.profiler.record_function("update"):
            self.optimizer.step()
        if stage.critic and share >= stage.critic_from - CRITIC_AHEAD:
            with torch.profiler.record_function("critic"):
                terms |= self._teach_critic()
        self.step += 1
        with torch.profiler.record_function("update"):
            self._average()
        return {**terms, "learning_rate": rate, **_used(indices, tier)}

    def _teach_critic(self) -> dict[str, Tensor]:
        loss, figures = self.judge.teach(self.step)
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimizer.step()
        return figures

    @torch.no_grad()
    def _average(self) -> None:
        # A short memory at first, so that the average does not hold on to the start.
        keep = min(self.stage.ema, (1 + self.step) / (10 + self.step))
        pairs = zip(self.ema.parameters(), self.model.parameters(), strict=True)
        ours, theirs = zip(*[pair for pair in pairs if pair[1].requires_grad], strict=True)
        torch._foreach_lerp_(ours, theirs, 1 - keep)

    def _check(self, terms: Mapping[str, Tensor]) -> None:
        """Stop a run that is lost: a figure is not finite, or the loss stays out of bounds."""
        finite = torch.stack([value.float() for value in terms.values()]).isfinite().all()
        is_finite = self.world.agreed(float(finite)) > 0
        weights = self.judge.weights
        loss = sum(weights[key] * float(value) for key, value in terms.items() if key in weights)
        loss = self.world.agreed(loss)
        self.n_high = self.n_high + 1 if loss > EXPLODED * self.usual else 0
        if not is_finite or self.n_high > PATIENCE:
            fault = "has exploded" if is_finite else "or gradient is not finite"
            raise VqcError(
                f"a loss {fault} at step {self.step}: stopped; the last good checkpoint in "
                f"{self.out} is kept. Lower learning_rate in the recipe's table and start anew "
                "from it with --from.",
                step=self.step,
            )
        first = self.usual == float("inf")
        self.usual = loss if first else self.usual + 0.02 * (min(loss, 2 * self.usual) - self.usual)


def _used(indices: Tensor | None, tier: Tensor) -> dict[str, float]:
    """Share of different indices among those of each tier in the batch."""
    if indices is None:
        return {}
    by_tier = {t: indices[tier == t] for t in tier.unique().tolist()}
    return {f"used{t}": found.unique().numel() / found.numel() for t, found in by_tier.items()}


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM instead of being torn out of a step; a second one stops at once."""
    seen: list[int] = []

    def note(number: int, _: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread, which alone gets signals
        before = {}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
