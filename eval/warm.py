"""Seconds inside a process that has its model loaded; eval/speed.py runs it as one of its own."""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import vqcodec
from eval import images

# taming's f16 network at full size, the one that the paper's tiers were made of.
TAMING = {
    "ch": 128,
    "ch_mult": (1, 1, 2, 2, 4),
    "num_res_blocks": 2,
    "attn_resolutions": [16],
    "in_channels": 3,
    "out_ch": 3,
    "resolution": 256,
    "z_channels": 256,
}


def seconds(action: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median wall-clock seconds of `repeats` runs, and what the last of them returned."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), result


def measure(
    picture: Path, tier: int, model: str | None, threads: int, repeats: int
) -> dict[str, Any]:
    """Time `encode` and `decode` on arrays in memory, after one run of each on a corner of them.

    Args:
        picture: an RGB image file.
        tier: 1 to 9.
        model: a pack's name or folder; None takes the default.
        threads: for the networks.
        repeats: runs, of which the median counts.
    """
    pixels = images.read_rgb(picture)

    def encode(part: NDArray[np.uint8]) -> bytes:
        return vqcodec.encode(part, tier=tier, model=model, threads=threads)

    def decode(data: bytes) -> NDArray[np.uint8]:
        return vqcodec.decode(data, model=model, threads=threads)

    decode(encode(pixels[:256, :256]))
    encode_s, data = seconds(lambda: encode(pixels), repeats)
    decode_s, _ = seconds(lambda: decode(data), repeats)
    return {"encode_s": encode_s, "decode_s": decode_s}


def taming_decode_s(height: int, width: int, threads: int, repeats: int) -> float | None:
    """Time taming's full-size decoder, random weights, on a latent for a picture of that size.

    Args:
        height: of the picture, in pixels; rounded up to a multiple of 16.
        width: likewise.
        threads: for the network.
        repeats: runs, of which the median counts.

    Returns:
        Seconds, or None where taming-transformers is not installed.
    """
    try:
        from taming.modules.diffusionmodules.model import Decoder
    except ImportError:
        return None
    torch.set_num_threads(threads)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its shapes
        net = Decoder(**TAMING).eval().requires_grad_(False)
    latent = torch.randn(1, TAMING["z_channels"], -(-height // 16), -(-width // 16))
    with torch.inference_mode():
        net(latent[:, :, :8, :8])  # warm
        taken, _ = seconds(lambda: net(latent), repeats)
    return taken
