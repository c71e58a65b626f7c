"""Run by `torchrun` in test_world.py: a tiny run, and what each process ends with, in a file."""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.torch import save_file

from vqcodec.training import stages
from vqcodec.training.loop import Trainer
from vqcodec.training.machine import Machine
from vqcodec.training.recipe import load_recipe
from vqcodec.training.world import World


class Told(Trainer):
    """Writes its weights to a file of its process when it has run."""

    def run(self, seconds: float | None, steps: int | None = None) -> None:
        super().run(seconds, steps)
        state = {key: value.contiguous() for key, value in self.model.state_dict().items()}
        save_file(state, self.out.parents[1] / f"{self.out.name}-{self.world.rank}.safetensors")


def main(recipe: Path, photos: Path, out: Path) -> None:
    """Train 3 steps of each stage."""
    stages.Trainer = Told
    world = World("cpu", "float32")
    say = print if world.is_first else lambda _: None
    machine = Machine([photos], out, out / "run", say, world, steps=3)
    stages.run_stages(load_recipe(recipe), machine)
    world.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
