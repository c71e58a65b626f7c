"""The stages of a recipe: base, adversarial, tiers; each in a folder of its own in the run's.

RUN/recipe.toml      what the run was begun with
RUN/base/            the network and the base codebook
RUN/adversarial/     the same, against a critic
RUN/tiers/           the tiers' codebooks by k-means, tuned together with the network
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vqcodec.bitstream.layout import TIERS
from vqcodec.errors import InputError, OutputError, OutputExistsError
from vqcodec.nets.autoencoder import build
from vqcodec.training import checkpoint
from vqcodec.training.loop import Trainer
from vqcodec.training.losses import Judge
from vqcodec.training.machine import Machine
from vqcodec.training.own_tiers import prepare
from vqcodec.training.perceptual import perceptual
from vqcodec.training.photos import Photos
from vqcodec.training.recipe import STAGES, Recipe, Stage
from vqcodec.training.refusal import load_refused
from vqcodec.training.tiers import collect, fit_base, make_tiers
from vqcodec.training.tokenizer import Tokenizer, tiers_of
from vqcodec.training.watch import Watch, fixed_crops

RECIPE_NAME = "recipe.toml"


def run_stages(recipe: Recipe, machine: Machine, among: tuple[str, ...] = STAGES) -> Path:
    """Run those of the stages `among` that the recipe has, in order.

    A stage that has spent its budget is skipped when the run is resumed.

    Returns:
        The last stage's averaged weights.

    Raises:
        OutputExistsError: a stage is there already and the run is not resumed.
        VqcError: of any other kind that files, weights or the training itself cause.
    """
    names = [name for name in among if name in recipe.stages]
    if not names:
        known = ", ".join(f"[{name}]" for name in among)
        raise InputError(f"recipe '{recipe.name}' has no table {known}.")
    if machine.world.is_first:
        _claim(recipe, machine, names)
    ema = machine.out / checkpoint.EMA_NAME
    for name in names:
        budget = machine.budget(recipe, name, names)
        folder = machine.out / name
        ema = folder / checkpoint.EMA_NAME
        is_done = machine.is_resumed and checkpoint.is_done(ema, budget.name)
        # Asking process 0 also makes the others wait until it has written the stage before.
        if machine.world.agreed(float(is_done)):
            machine.say(f"{name}: done before ({budget.name})")
            continue
        machine.say(f"{name}: {budget.name} on {machine.world}")
        trainer = trainer_for(name, recipe, machine)
        if machine.is_resumed and (folder / checkpoint.LAST_NAME).exists():
            trainer.resume(folder / checkpoint.LAST_NAME)
            machine.say(f"resumed at step {trainer.step}, {trainer.spent / 60:.1f} minutes spent")
        trainer.run(budget.seconds, budget.steps)
        machine.say(f"{name}: done, {trainer.step} steps; {ema}")
    return ema


def kept_recipe(ema: Path) -> Path:
    """Find the copy of the recipe that the run of these weights keeps.

    Raises:
        InputError: the weights are not in a run's folder.
    """
    for folder in (ema.parent, ema.parent.parent):
        if (folder / RECIPE_NAME).is_file():
            return folder / RECIPE_NAME
    raise InputError(f"{ema}: no {RECIPE_NAME} beside it: name the recipe with --recipe.", path=ema)


def trainer_for(name: str, recipe: Recipe, machine: Machine) -> Trainer:
    """Make the trainer of one stage; its folder is there already."""
    return _TRAINERS[name](recipe, machine, machine.out / name)


def _claim(recipe: Recipe, machine: Machine, names: list[str]) -> None:
    """Take the folder of a run: never one that holds another run."""
    kept = machine.out / RECIPE_NAME
    # What failed before its first checkpoint (a missing file, say) may be tried again.
    begun = [name for name in STAGES if (machine.out / name / checkpoint.LAST_NAME).exists()]
    for name in names:
        if name in begun and not machine.is_resumed:
            raise OutputExistsError(
                f"{machine.out / name}: there already. Go on with --resume, or name another --out.",
                path=machine.out,
            )
    try:
        if begun and kept.exists() and kept.read_text(encoding="utf-8") != recipe.text:
            raise OutputExistsError(
                f"{kept}: this run was begun with another recipe. Name another --out.", path=kept
            )
        for name in names:
            (machine.out / name).mkdir(parents=True, exist_ok=True)
        kept.write_text(recipe.text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{machine.out}: {error.strerror or error}.", path=machine.out) from error


def _base(recipe: Recipe, machine: Machine, folder: Path) -> Trainer:
    """Stage 1: the network and the base codebook.

    From nothing, the first share of the time goes without quantisation (`plain_until`), so that
    latents come alive; then the base codebook is set to k-means centres of latents under all
    tiers' conditions. From start weights this happens at once.
    """
    how, stage = recipe.codebooks, machine.seeded(recipe.stages["base"])
    if machine.start is None:
        torch.manual_seed(stage.seed)
        model = Tokenizer(build(recipe.net_kind or "light", recipe.net_config))
    else:
        start = _start(recipe, checkpoint.find_start(machine.start))
        model, stage = Tokenizer(start.net()), replace(stage, plain_until=0.0)
    model.trains_base = True
    _check_base_tier(recipe, model)
    photos = _photos(stage, machine)

    def fit(living: Tokenizer) -> None:
        if not machine.world.is_first:  # process 0's codewords come afterwards
            living.set_codebook(how.base_tier, torch.ones(how.base_size, living.net.latent_dim))
            return
        machine.say("fitting the base codebook to living latents")
        latents = [collect(living, photos, tier, how.latents) for tier in tiers_of(living.net)]
        words = fit_base(np.concatenate(latents), how, on_sphere=living.net.on_sphere)
        living.set_codebook(how.base_tier, words)

    return _trainer(model, stage, [how.base_tier], photos, machine, folder, fit=fit)


def _adversarial(recipe: Recipe, machine: Machine, folder: Path) -> Trainer:
    """Stage 2: the same model against a critic."""
    before = _before(machine, folder)
    start = _start(recipe, before)
    if start.base is None:
        raise InputError(f"{before}: holds no base codebook.")
    model, tier = Tokenizer(start.net()), recipe.codebooks.base_tier
    model.set_codebook(tier, start.base)
    model.trains_base = True
    _check_base_tier(recipe, model)
    stage = machine.seeded(recipe.stages["adversarial"])
    return _trainer(model, stage, [tier], _photos(stage, machine), machine, folder, before)


def _tiers(recipe: Recipe, machine: Machine, folder: Path) -> Trainer:
    """Stage 3: a codebook for each tier of the network, tuned together with it.

    Codebooks that the start weights have are kept; the others are made by k-means.
    """
    before = _before(machine, folder)
    stage = machine.seeded(recipe.stages["tiers"])
    start = _start(recipe, before)
    if stage.tune != "codebooks" and not start.outline().n_tiers:
        machine.say(prepare(start))
    model = start.tokenizer().to(machine.world.device)
    photos = _photos(stage, machine)
    is_begun = machine.is_resumed and (folder / checkpoint.LAST_NAME).exists()
    missing = [tier for tier in tiers_of(model.net, model.tiers) if tier not in model.tiers]
    if missing:
        if model.base is None:
            raise InputError(f"{before}: holds no base codebook to make tiers of.")
        if not is_begun and machine.world.is_first:
            made = make_tiers(model, photos, missing, recipe.codebooks, machine.say)
        else:  # the checkpoint's or process 0's codewords come afterwards
            made = {tier: torch.ones(TIERS[tier], model.net.latent_dim) for tier in missing}
        for tier, words in made.items():
            model.set_codebook(tier, words)
    for book in model.to(machine.world.device).books.values():
        machine.world.spread(book.basis)
    if machine.world.is_first and not is_begun:
        # What several runs of other seeds have to start from, to be averaged afterwards.
        checkpoint.save_ema(model, folder / checkpoint.START_NAME, step=0)
    tiers = tiers_of(model.net, model.tiers)
    return _trainer(model, stage, tiers, photos, machine, folder, before)


_TRAINERS: dict[str, Callable[[Recipe, Machine, Path], Trainer]] = {
    "base": _base,
    "adversarial": _adversarial,
    "tiers": _tiers,
}


def _check_base_tier(recipe: Recipe, model: Tokenizer) -> None:
    tiers, base_tier = tiers_of(model.net), recipe.codebooks.base_tier
    if base_tier not in tiers:
        raise InputError(
            f"recipe '{recipe.name}': base_tier is {base_tier}, and the network's tiers end at "
            f"{tiers[-1]} (n_tiers).",
            field="base_tier",
        )


def _before(machine: Machine, folder: Path) -> Path:
    """The weights that a stage starts from: the stage before it in this run, else `start`."""
    for name in reversed(STAGES[: STAGES.index(folder.name)]):
        ema = machine.out / name / checkpoint.EMA_NAME
        if ema.exists():
            return ema
    if machine.start is None:
        raise InputError(
            f"{machine.out}: no stage before '{folder.name}' is here. Run 'train tokenizer' with "
            "the same --out, or name weights with --from."
        )
    return checkpoint.find_start(machine.start)


def _start(recipe: Recipe, path: Path) -> checkpoint.Start:
    start = checkpoint.load_start(path)
    if recipe.net_kind and start.kind != recipe.net_kind:
        raise InputError(f"{path}: holds a '{start.kind}' net, not '{recipe.net_kind}'.")
    start.config = dict(recipe.net_config) or start.config
    start.add_tiers()
    return start


def _photos(stage: Stage, machine: Machine) -> Photos:
    refused = load_refused(machine.refuse)
    for name in refused.unguarded:
        machine.say(f"{name}: too flat to be known again, so it cannot be kept out")
    photos = Photos(
        machine.data,
        stage.crop_px,
        most=machine.most,
        threads=machine.threads,
        device=machine.world.device,
        refused=refused,
        part=(machine.world.rank, machine.world.size),
    )
    machine.say(f"{len(photos.all)} photos, {photos.n_bytes / 2**20:.0f} MiB in memory")
    for line in photos.left_out:
        machine.say(line)
    return photos


def _trainer(
    model: Tokenizer,
    stage: Stage,
    tiers: list[int],
    photos: Photos,
    machine: Machine,
    folder: Path,
    before: Path | None = None,
    fit: Callable[[Tokenizer], None] | None = None,
) -> Trainer:
    nets = {name: perceptual(name, machine.weights) for name in stage.perceptual}
    is_shown = machine.val is not None and machine.world.is_first
    crops = fixed_crops(machine.val) if is_shown else []
    every = 60 * machine.pictures_every
    watch = Watch(folder, machine.say, crops=crops, pictures_every_s=every)
    judge = Judge(stage, nets, machine.world)
    trainer = Trainer(model, stage, tiers, photos, judge, watch, machine.world, folder, fit)
    beside = before.parent / checkpoint.LAST_NAME if before else None
    if stage.critic and beside is not None and beside.exists() and trainer.adopt_critic(beside):
        machine.say(f"the critic goes on from {beside}")
    return trainer
