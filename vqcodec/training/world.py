"""Where training runs: the device, its precision, and the other processes of a `torchrun`.

One process is the normal case. Under `torchrun` each process has a part of the photos, gradients
are averaged by torch's DistributedDataParallel (NCCL between GPUs, gloo between CPUs), and process
0 alone fits codebooks, writes files and speaks.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, distributed, nn

from vqcodec.errors import BackendError
from vqcodec.nets.machine import resolve_device

Precision = Literal["auto", "float32", "bfloat16"]


class World:
    """This process among all.

    Args:
        device: "auto" (the GPU of this process if there is one), "cpu" or "cuda[:N]".
        precision: "auto" takes bfloat16 where it is faster.
        threads: of PyTorch on the CPU.

    Attributes:
        rank: 0 to size - 1.
        size: number of processes.
        device: of this process.
        dtype: of the networks' arithmetic; weights stay float32.

    Raises:
        BackendError: no such device, or the processes do not find each other.
    """

    def __init__(
        self, device: str = "auto", precision: Precision = "auto", threads: int = 1
    ) -> None:
        torch.set_num_threads(threads)
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        local = os.environ.get("LOCAL_RANK", "0")
        if device == "auto" and self.size > 1 and torch.cuda.is_available():
            device = f"cuda:{local}"
        self.device = resolve_device(device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
            torch.backends.cudnn.benchmark = True  # crops always have the same size
            torch.set_float32_matmul_precision("high")
        if self.size > 1 and not distributed.is_initialized():
            try:
                distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
            except (RuntimeError, ValueError) as error:
                raise BackendError(f"the processes did not find each other: {error}") from error
        is_bfloat16 = precision == "bfloat16" or (precision == "auto" and _pays(self.device))
        self.dtype = torch.bfloat16 if is_bfloat16 else torch.float32

    @property
    def is_first(self) -> bool:
        """Whether this process fits, writes and speaks."""
        return self.rank == 0

    def __str__(self) -> str:
        """For the first line of a run."""
        among = f", {self.size} processes" if self.size > 1 else ""
        return f"{self.device}, {str(self.dtype).removeprefix('torch.')}{among}"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Arithmetic of the networks inside this context is of `dtype`."""
        is_low = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=is_low)

    def shared(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients averaged over all processes."""
        if self.size == 1 or not any(p.requires_grad for p in module.parameters()):
            return module
        ids = [self.device] if self.device.type == "cuda" else None
        # A step's crops need not have all tiers, so some codebooks may be left out of it.
        return nn.parallel.DistributedDataParallel(
            module, device_ids=ids, find_unused_parameters=True
        )

    def agreed(self, value: float) -> float:
        """Return process 0's value in every process: clocks differ, decisions must not."""
        if self.size == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(box, 0)
        return float(box)

    def spread(self, tensor: Tensor) -> Tensor:
        """Return process 0's tensor in every process; shapes are alike."""
        if self.size > 1:
            distributed.broadcast(tensor, 0)
        return tensor

    def close(self) -> None:
        """Leave the others."""
        if self.size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()


def _pays(device: torch.device) -> bool:
    """Whether bfloat16 is faster here than float32.

    CPUs without AMX or AVX-512-BF16 emulate it, several times slower, so it is timed.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    layer = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
    image = torch.zeros(1, 128, 48, 48).contiguous(memory_format=torch.channels_last)
    seconds = {
        dtype: min(_timed(layer.to(dtype), image.to(dtype)))
        for dtype in (torch.float32, torch.bfloat16)
    }
    return seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]


def _timed(layer: nn.Module, image: Tensor) -> Iterator[float]:
    with torch.inference_mode():
        for _ in range(5):
            begun = time.perf_counter()
            layer(image)
            yield time.perf_counter() - begun
