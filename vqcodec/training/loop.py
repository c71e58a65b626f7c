"""The training loop: one stage of a recipe within a time budget, checkpointed, resumable."""

from __future__ import annotations

import copy
import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqcodec.errors import VqcError
from vqcodec.training import checkpoint
from vqcodec.training.critics import LeCam, PatchCritic, hinge
from vqcodec.training.perceptual import Perceptual
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import Stage
from vqcodec.training.schedule import Budget, Clock, deal, learning_rate, ramp
from vqcodec.training.tokenizer import Tokenizer

SAY_EVERY_S, SAVE_EVERY_S = 20.0, 120.0
CRITIC_AHEAD = 0.02  # share of the budget by which the critic learns before it is listened to


class Trainer:
    """Trains a `Tokenizer` by one `Stage`.

    Args:
        model: what to train, with its codebooks (without any: plain, see `Stage.plain_until`).
        stage: the recipe's table.
        tiers: tiers to deal to the crops.
        photos: training photos.
        nets: the frozen nets of `stage.perceptual`, by name.
        out: folder of the run.
        describe: `kind` and `config` of the network, for `ema.safetensors`.
        say: takes progress lines.
        fit: called once when plain training ends; gives the model its codebooks.
        clock: seconds; tests bring their own.
    """

    def __init__(
        self,
        model: Tokenizer,
        stage: Stage,
        tiers: list[int],
        photos: Photos,
        nets: Mapping[str, Perceptual],
        out: Path,
        describe: Mapping[str, Any],
        say: Callable[[str], None],
        fit: Callable[[Tokenizer], None] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.model, self.stage, self.tiers, self.photos = model, stage, tiers, photos
        self.nets, self.out, self.describe, self.say = nets, out, describe, say
        self.fit, self.clock = fit, clock
        self.step, self.spent = 0, 0.0
        torch.manual_seed(stage.seed)
        self.critic, self.lecam = PatchCritic(), LeCam()
        for net in (self.model, self.critic):
            net.to(memory_format=torch.channels_last)
        self.sums: dict[str, list[float]] = {}
        self._rebuild()

    def _rebuild(self) -> None:
        """(Re)make what hangs on the model's list of parameters."""
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        rate, betas = self.stage.learning_rate, (0.9, 0.99)
        shared, own = [], []
        for name, parameter in self.model.named_parameters():
            (own if ".film." in name or name.startswith("books.") else shared).append(parameter)
        groups = [{"params": shared, "factor": 1.0}]
        groups.append({"params": own, "factor": self.stage.tier_rate})
        adam = functools.partial(torch.optim.AdamW, lr=rate, fused=True)
        self.optimizer = adam(groups, betas=betas, weight_decay=1e-4)
        self.critic_optimizer = adam(self.critic.parameters(), betas=(0.5, 0.9))

    # ---- state -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that `resume` needs."""
        parts = self._parts()
        return {key: part.state_dict() for key, part in parts.items()} | {
            "step": self.step,
            "spent": self.spent,
            "random": torch.get_rng_state(),
            "photos": self.photos.random.bit_generator.state,
            "books": {
                str(tier): len(self.model.books[str(tier)].basis) for tier in self.model.tiers
            },
        }

    def resume(self, path: Path) -> None:
        """Go on from `last.pt`: weights, optimisers, random numbers, step, time spent."""
        state = checkpoint.load_last(path)
        sizes: dict[str, int] = state["books"]
        if not self.model.books and sizes:  # the codebooks came after plain training
            for tier, size in sizes.items():
                dim = self.model.net.latent_dim
                self.model.set_codebook(int(tier), torch.ones(size, dim))
            self._rebuild()
        for key, part in self._parts().items():
            part.load_state_dict(state[key])
        self.step, self.spent = state["step"], state["spent"]
        torch.set_rng_state(state["random"])
        self.photos.random.bit_generator.state = state["photos"]

    def adopt_critic(self, path: Path) -> None:
        """Start with the critic of another run's `last.pt`, so that it need not learn anew."""
        self.critic.load_state_dict(checkpoint.load_last(path)["critic"])

    def _parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "ema": self.ema,
            "critic": self.critic,
            "lecam": self.lecam,
            "optimizer": self.optimizer,
            "critic_optimizer": self.critic_optimizer,
        }

    def save(self) -> None:
        """Write `last.pt` and `ema.safetensors`."""
        checkpoint.save_last(self.out / checkpoint.LAST_NAME, self.state())
        note = {"step": self.step, "seconds": round(self.spent)}
        checkpoint.save_ema(self.ema, self.out / checkpoint.EMA_NAME, **self.describe, **note)

    # ---- the loop ----------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Train until the budget (earlier runs included) is spent.

        Raises:
            VqcError: a loss or gradient is not finite; the last checkpoint is kept.
        """
        budget = Budget(seconds, self.spent, self.clock)
        said = saved = self.spent
        n_steps = 0
        try:
            while (share := budget.share) < 1:
                if self.fit and not self.model.books and share >= self.stage.plain_until:
                    self.fit(self.model)
                    self._rebuild()
                self._step(share)
                n_steps += 1
                self.spent = budget.spent
                if self.spent - said >= SAY_EVERY_S:
                    self._report(share, n_steps * self.stage.batch / (self.spent - said))
                    said, n_steps = self.spent, 0
                if self.spent - saved >= SAVE_EVERY_S:
                    self.save()
                    saved = self.spent
        except KeyboardInterrupt:
            self.save()
            raise
        self.save()

    def _step(self, share: float) -> None:
        stage = self.stage
        rate = learning_rate(
            stage.learning_rate, self.step, stage.warmup_steps, share, stage.decay_from
        )
        _set_rate(self.optimizer, rate)
        _set_rate(self.critic_optimizer, rate * stage.critic_rate)
        image = self.photos.batch(stage.batch)
        tier = deal(self.tiers, stage.batch)
        decoded, commitment, indices = self.model(image, tier)
        losses = {"l1": (decoded - image).abs().mean(), "commitment": commitment}
        losses |= self._perceptual(decoded, image)
        window = _window(stage.crop_px, stage.critic_window_px)
        if stage.critic and share >= stage.critic_from:
            self.critic.requires_grad_(False)
            losses["critic"] = -self.critic(decoded[window]).mean()
            self.critic.requires_grad_(True)
        weights = {"l1": stage.l1, "commitment": stage.commitment, **stage.perceptual}
        weights["critic"] = stage.critic * ramp(share, stage.critic_from)
        total = torch.stack([weights[key] * value for key, value in losses.items()]).sum()
        self._check(total)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        losses["gradient"] = self._check(nn.utils.clip_grad_norm_(self.model.parameters(), 1.0))
        self.optimizer.step()
        if stage.critic and share >= stage.critic_from - CRITIC_AHEAD:
            losses |= self._teach_critic(image[window], decoded[window].detach())
        self.step += 1
        self._average()
        for key, value in losses.items():
            self.sums.setdefault(key, []).append(float(value.detach()))
        if indices is not None:
            for t in tier.unique().tolist():
                used = indices[tier == t].unique().numel() / indices[tier == t].numel()
                self.sums.setdefault(f"used{t}", []).append(used)

    def _perceptual(self, decoded: Tensor, image: Tensor) -> dict[str, Tensor]:
        out = {}
        for name in self.stage.perceptual:
            net = self.nets[name]
            window = _window(self.stage.crop_px, self.stage.window_px.get(name, 0))
            with torch.no_grad():
                wanted = net.features(image[window])
            out[name] = net.distance(net.features(decoded[window]), wanted).mean()
        return out

    def _teach_critic(self, image: Tensor, decoded: Tensor) -> dict[str, Tensor]:
        real, fake = self.critic(image), self.critic(decoded)
        loss = hinge(real, fake)
        total = loss + self.stage.lecam * self.lecam(real.mean(), fake.mean())
        self.critic_optimizer.zero_grad(set_to_none=True)
        self._check(total).backward()
        self.critic_optimizer.step()
        return {"hinge": loss, "real": real.mean(), "fake": fake.mean()}

    @torch.no_grad()
    def _average(self) -> None:
        # A short memory at first, so that the average does not hold on to the start.
        keep = min(self.stage.ema, (1 + self.step) / (10 + self.step))
        ours, theirs = list(self.ema.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - keep)

    def _check(self, value: Tensor) -> Tensor:
        if not math.isfinite(float(value.detach())):
            raise VqcError(
                f"a loss or gradient is not finite at step {self.step}: stopped; the last "
                f"checkpoint in {self.out} is kept. Lower the learning rate and go on with "
                "--resume.",
                step=self.step,
            )
        return value

    def _report(self, share: float, crops_per_s: float) -> None:
        means = {key: sum(values) / len(values) for key, values in self.sums.items()}
        self.sums.clear()
        figures = " ".join(f"{k} {v:.4f}" for k, v in means.items() if not k.startswith("used"))
        self.say(f"{share:6.1%} step {self.step} {crops_per_s:.2f} crops/s {figures}")
        line = {"step": self.step, "seconds": round(self.spent, 1), **means}
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def _window(crop_px: int, side_px: int) -> tuple[slice, ...]:
    """A random square of (B, C, H, W), the same for all images; 0 is the whole crop."""
    side = side_px or crop_px
    top, left = (int(torch.randint(crop_px - side + 1, ())) for _ in range(2))
    return slice(None), slice(None), slice(top, top + side), slice(left, left + side)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
