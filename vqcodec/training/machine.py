"""What a machine and its user give to a run, by option: everything that is not in the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vqcodec.training.recipe import Recipe, Stage
from vqcodec.training.schedule import Budget
from vqcodec.training.world import World


@dataclass(frozen=True)
class Machine:
    """Data, folders, budget and processor of a run.

    Attributes:
        data: folders or tars of training photos.
        weights: folder of the frozen perceptual nets.
        out: folder of the run; each stage has a folder in it.
        say: takes progress lines.
        world: device, precision, other processes.
        start: weights to start from (see `checkpoint.find_start`), or None.
        minutes: time budget of the whole command instead of the recipe's, dealt to its stages in
            proportion to theirs.
        steps: budget of each stage in steps, instead of time.
        is_resumed: go on with what is in `out`.
        seed: instead of the recipe's, for runs that will be averaged.
        most: use only so many photos.
        threads: of PyTorch on the CPU, and decoders of photos.
        val: folder or tar of photos for pictures of the progress; never trained on.
        pictures_every: minutes between pictures.
        refuse: more folders of images that must not be trained on.
    """

    data: Sequence[Path]
    weights: Path
    out: Path
    say: Callable[[str], None]
    world: World
    start: Path | str | None = None
    minutes: float | None = None
    steps: int | None = None
    is_resumed: bool = False
    seed: int | None = None
    most: int | None = None
    threads: int = 1
    val: Path | None = None
    pictures_every: float = 30.0
    refuse: Sequence[Path] = ()

    def seeded(self, stage: Stage) -> Stage:
        """Return the stage with this machine's seed, if it has one."""
        return stage if self.seed is None else replace(stage, seed=self.seed)

    def budget(self, recipe: Recipe, name: str, among: Sequence[str]) -> Budget:
        """Return one stage's budget; `among` are the stages of the command."""
        if self.steps is not None:
            return Budget(None, self.steps)
        minutes = {key: recipe.stages[key].minutes for key in among}
        whole = sum(minutes.values()) if self.minutes is None else self.minutes
        return Budget(60 * whole * minutes[name] / sum(minutes.values()))
