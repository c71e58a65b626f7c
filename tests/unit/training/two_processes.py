"""Run by `torchrun` in test_world.py: a tiny run, and what each process ends with, in a file."""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.torch import save_file

from vqcodec.training import stages
from vqcodec.training.machine import Machine
from vqcodec.training.recipe import load_recipe
from vqcodec.training.world import World


def main(recipe_path: Path, photos: Path, out: Path) -> None:
    """Train 3 steps of each stage."""
    world = World("cpu", "float32")
    recipe = load_recipe(recipe_path)
    say = print if world.is_first else lambda _: None
    machine = Machine([photos], out, out / "run", say, world, steps=3)
    if world.is_first:
        for name in recipe.stages:
            (machine.out / name).mkdir(parents=True)
    for name in recipe.stages:
        world.agreed(0.0)  # process 0 has written what the next stage reads
        trainer = stages.trainer_for(name, recipe, machine)
        trainer.run(None, 3)
        state = {key: value.contiguous() for key, value in trainer.model.state_dict().items()}
        save_file(state, out / f"{name}-{world.rank}.safetensors")
    world.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
