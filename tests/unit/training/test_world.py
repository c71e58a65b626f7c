"""Devices, precision, and two processes that train one model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vqcodec.errors import BackendError
from vqcodec.training import checkpoint, stages
from vqcodec.training.machine import Machine
from vqcodec.training.recipe import load_recipe
from vqcodec.training.world import World

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


class Deaf(World):
    """Process 0 of two that never hears of the other."""

    def __init__(self) -> None:
        super().__init__("cpu", "float32")
        self.size = 2

    def shared(self, module: nn.Module) -> nn.Module:
        return module

    def agreed(self, value: float) -> float:
        return value

    def spread(self, tensor: Tensor) -> Tensor:
        return tensor


def test_one_process_is_the_first_of_one() -> None:
    world = World("cpu", "float32")
    assert (world.rank, world.size, world.is_first) == (0, 1, True)
    assert str(world) == "cpu, float32"
    assert world.agreed(0.25) == 0.25
    layer = torch.nn.Linear(1, 1)
    assert world.shared(layer) is layer


def test_the_automatic_precision_is_the_faster_one() -> None:
    assert World("cpu", "auto").dtype in (torch.float32, torch.bfloat16)
    world = World("cpu", "bfloat16")
    with world.autocast():
        assert torch.nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.bfloat16


def test_a_device_that_is_not_here_is_told() -> None:
    with pytest.raises(BackendError, match="device"):
        World("cuda:99", "float32")


def test_bfloat16_trains(recipe_path: Path, photos: Path, tmp_path: Path) -> None:
    world = World("cpu", "bfloat16")
    machine = Machine([photos], tmp_path, tmp_path / "run", lambda _: None, world, steps=2)
    ema = stages.run_stages(load_recipe(recipe_path), machine, ("base",))
    start = checkpoint.load_start(ema)
    assert all(bool(value.isfinite().all()) for value in start.state.values())
    assert start.base is not None
    norms = start.base.norm(dim=1)
    assert torch.allclose(norms, torch.tensor(2.0), atol=1e-4)


def test_two_processes_train_one_model(recipe_path: Path, photos: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    arguments = [str(script), str(recipe_path), str(photos), str(tmp_path)]
    result = subprocess.run(
        [*LAUNCH, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for stage in ("base", "adversarial", "tiers"):
        ours, theirs = (load_file(tmp_path / f"{stage}-{rank}.safetensors") for rank in (0, 1))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), stage
    assert "2 photos" in result.stdout  # of three: process 0 has its own part
    assert checkpoint.load_start(checkpoint.find_start(tmp_path / "run")).codebooks.keys() == set(
        range(1, 10)
    )

    # Without the other one's gradients, process 0 would have learned something else from its part.
    machine = Machine([photos], tmp_path, tmp_path / "alone", lambda _: None, Deaf(), steps=3)
    stages.run_stages(load_recipe(recipe_path), machine, ("base",))
    alone = checkpoint.load_last(tmp_path / "alone" / "base" / "last.pt")["model"]
    together = load_file(tmp_path / "base-0.safetensors")
    key = "net.decoder.out.weight"
    assert not torch.allclose(alone[key], together[key], atol=1e-5)
