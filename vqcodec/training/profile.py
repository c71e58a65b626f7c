"""Where a training step's time goes: measured on real photos, not guessed."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace

import torch

from vqcodec.training.machine import Machine
from vqcodec.training.recipe import Recipe
from vqcodec.training.stages import trainer_for

PARTS = ("data", "network", "judge", "critic", "update")
WARM_UP = 3  # steps that are not counted: memory is taken, kernels are chosen


@dataclass(frozen=True)
class Profile:
    """What `profile` measured.

    Attributes:
        world: device, precision and processes.
        n_images: crops per step, all processes together.
        steps: steps that were measured.
        seconds: that they took.
        shares: of the time, by part; "network" is encoder, quantiser and decoder, there and back,
            "judge" the frozen nets.
        memory_bytes: peak of the GPU's memory, or of the process on a CPU.
        photo_bytes: of it, the decoded photos.
    """

    world: str
    n_images: int
    steps: int
    seconds: float
    shares: dict[str, float]
    memory_bytes: int
    photo_bytes: int

    @property
    def images_per_s(self) -> float:
        """Crops per second."""
        return self.n_images * self.steps / self.seconds

    def __str__(self) -> str:
        """One line."""
        shares = ", ".join(f"{part} {share:.0%}" for part, share in self.shares.items())
        return (
            f"{self.world}: {self.images_per_s:.2f} images/s, {self.seconds / self.steps:.3f} s a "
            f"step of {self.n_images}; {shares}; {self.memory_bytes / 2**20:,.0f} MiB, photos "
            f"{self.photo_bytes / 2**20:,.0f} of them"
        )


def profile(recipe: Recipe, machine: Machine, stage: str, steps: int) -> Profile:
    """Measure some steps of a stage with everything in it: codebooks and, if it has one, critic.

    Args:
        recipe: the recipe.
        machine: `start` may be None; the stage then has random weights.
        stage: "base", "adversarial" or "tiers".
        steps: steps to measure after three of warm-up.

    Raises:
        VqcError: of any kind that files, weights or the training itself cause.
    """
    plain = replace(recipe.stages[stage], plain_until=0.0)
    recipe = replace(recipe, stages={**recipe.stages, stage: plain})
    trainer, device = trainer_for(stage, recipe, machine), machine.world.device
    if trainer.fit and not trainer.model.books:
        trainer.fit_codebooks()
    for _ in range(WARM_UP):
        trainer.train_step(1.0)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    begun = time.perf_counter()
    for _ in range(steps):
        trainer.train_step(1.0)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    with torch.profiler.profile(activities=activities) as measured:  # apart: it slows steps down
        trainer.train_step(1.0)
    is_gpu = device.type == "cuda"
    times = {
        event.key: event.device_time_total if is_gpu else event.cpu_time_total
        for event in measured.key_averages()
        if event.key in PARTS
    }
    whole = sum(times.values())
    peak = torch.cuda.max_memory_allocated() if is_gpu else _peak_bytes()
    return Profile(
        world=str(machine.world),
        n_images=trainer.stage.batch * machine.world.size,
        steps=steps,
        seconds=seconds,
        shares={part: times.get(part, 0.0) / whole for part in PARTS},
        memory_bytes=peak,
        photo_bytes=trainer.photos.n_bytes,
    )


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
