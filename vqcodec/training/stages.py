"""The two training stages of a recipe: the base codebook, then nine tiers tuned together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vqcodec.errors import InputError, OutputError
from vqcodec.nets.autoencoder import build
from vqcodec.training import checkpoint
from vqcodec.training.loop import Trainer
from vqcodec.training.perceptual import perceptual
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import Recipe, Stage
from vqcodec.training.tiers import TIERS, collect, fit_base, make_tiers
from vqcodec.training.tokenizer import Tokenizer


@dataclass(frozen=True)
class Machine:
    """What the machine gives to a stage, by option and not by recipe.

    Attributes:
        data: folder or tar of training photos.
        weights: folder of the frozen perceptual nets.
        out: folder of the run, made when missing.
        minutes: time budget, earlier runs that are resumed included.
        start: weights to start from, see `checkpoint.load_start`.
        threads: of PyTorch; on a busy CPU one is faster than two.
        seed: instead of the recipe's, for runs that will be averaged.
        is_resumed: go on from `last.pt` in `out`.
        most: use only so many photos.
        say: takes progress lines.
    """

    data: Path
    weights: Path
    out: Path
    minutes: float
    say: Callable[[str], None]
    start: Path | None = None
    threads: int = 1
    is_resumed: bool = False
    seed: int | None = None
    most: int | None = None

    def seeded(self, stage: Stage) -> Stage:
        """Return the stage with this machine's seed, if it has one."""
        return stage if self.seed is None else replace(stage, seed=self.seed)


def train_tokenizer(recipe: Recipe, machine: Machine) -> None:
    """Stage 1: the network and the base codebook.

    From nothing, the first share of the time goes without quantisation (`plain_until`), so that
    latents come alive; then the base codebook is set to k-means centres of latents under all nine
    tier conditions. From start weights this happens at once.

    Raises:
        VqcError: of any kind that files, weights or the training itself cause.
    """
    start = _start(recipe, machine)
    how, stage = recipe.codebooks, machine.seeded(recipe.base)
    if start is None:
        torch.manual_seed(stage.seed)
        model = Tokenizer(build(recipe.net_kind, recipe.net_config))
    else:
        model, stage = start.tokenizer(), replace(stage, plain_until=0.0)
        model.books.clear()
    model.base, model.trains_base = None, True
    photos = _photos(stage, machine)

    def fit(living: Tokenizer) -> None:
        machine.say("fitting the base codebook to living latents")
        latents = [collect(living, photos, tier, how.latents) for tier in TIERS]
        on_sphere = living.net.kind == "light"
        words = fit_base(np.concatenate(latents), how, on_sphere=on_sphere)
        living.set_codebook(how.base_tier, words)

    trainer = _trainer(model, stage, [how.base_tier], photos, recipe, machine, fit)
    _run(trainer, machine)


def train_tiers(recipe: Recipe, machine: Machine) -> None:
    """Stage 2: nine codebooks by k-means of the base, tuned together with the network.

    Raises:
        InputError: there are no start weights with a base codebook.
        VqcError: of any other kind that files, weights or the training itself cause.
    """
    start = _start(recipe, machine)
    if start is None or start.base is None:
        raise InputError("'train tiers' needs --start with a base codebook: run 'train tokenizer'.")
    model = start.tokenizer()
    stage = machine.seeded(recipe.tiers)
    photos = _photos(stage, machine)
    if set(model.tiers) != set(TIERS) and not machine.is_resumed:
        made = make_tiers(model, photos, recipe.codebooks, machine.say)
        for tier, words in made.items():
            model.set_codebook(tier, words)
        # What several runs of other seeds have to start from, to be averaged afterwards.
        machine.out.mkdir(parents=True, exist_ok=True)
        describe = (recipe.net_kind, recipe.net_config)
        checkpoint.save_ema(model, machine.out / checkpoint.START_NAME, *describe, step=0)
    trainer = _trainer(model, stage, list(TIERS), photos, recipe, machine)
    _run(trainer, machine)


def _start(recipe: Recipe, machine: Machine) -> checkpoint.Start | None:
    torch.set_num_threads(machine.threads)
    if machine.start is None:
        return None
    start = checkpoint.load_start(machine.start)
    if start.kind != recipe.net_kind:
        raise InputError(f"{machine.start}: holds a '{start.kind}' net, not '{recipe.net_kind}'.")
    start.config = dict(recipe.net_config) or start.config
    return start


def _photos(stage: Stage, machine: Machine) -> Photos:
    photos = Photos(
        machine.data,
        stage.crop_px,
        seed=stage.seed,
        most=machine.most,
        threads=machine.threads,
    )
    machine.say(f"{len(photos.all)} photos from {machine.data}")
    return photos


def _trainer(
    model: Tokenizer,
    stage: Stage,
    tiers: list[int],
    photos: Photos,
    recipe: Recipe,
    machine: Machine,
    fit: Callable[[Tokenizer], None] | None = None,
) -> Trainer:
    nets = {name: perceptual(name, machine.weights) for name in stage.perceptual}
    try:
        machine.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{machine.out}: {error.strerror or error}.", path=machine.out) from error
    describe = {"kind": recipe.net_kind, "config": recipe.net_config}
    trainer = Trainer(
        model, stage, tiers, photos, nets, machine.out, describe, machine.say, fit=fit
    )
    beside = machine.start.with_name(checkpoint.LAST_NAME) if machine.start else None
    if stage.critic and beside is not None and beside.exists():
        trainer.adopt_critic(beside)
        machine.say(f"the critic goes on from {beside}")
    return trainer


def _run(trainer: Trainer, machine: Machine) -> None:
    if machine.is_resumed:
        trainer.resume(machine.out / checkpoint.LAST_NAME)
        machine.say(f"resumed at step {trainer.step}, {trainer.spent / 60:.1f} minutes spent")
    trainer.run(machine.minutes * 60)
    machine.say(f"done: {trainer.step} steps; {machine.out / checkpoint.EMA_NAME}")
