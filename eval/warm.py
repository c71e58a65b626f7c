"""The process that a codec is timed in: `python -m eval.warm WORDS` does jobs that come by stdin.

`WORDS` is a JSON object that says what to time, see `make`. Each line of stdin is a `Job`, each
line of stdout what it cost: {"wall_s", "cpu_s"}. With a job as second argument, that job alone is
done, from the start of Python to a file: the cold run of what has no command line of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval import images

OURS, TAMING = "vqcodec", "taming"
ONNX = "onnx"  # ours in onnxruntime
VERBS = ("encode", "decode")

# taming's f16 network at full size, the one that the paper's tiers were made of.
TAMING_CONFIG = {
    "ch": 128,
    "ch_mult": (1, 1, 2, 2, 4),
    "num_res_blocks": 2,
    "attn_resolutions": [16],
    "in_channels": 3,
    "out_ch": 3,
    "resolution": 256,
    "z_channels": 256,
}
TAMING_STRIDE = 16


class Contender(Protocol):
    """What is timed: from an image file to a coded file, and from that to pixels."""

    def encode(self, picture: Path, coded: Path) -> None:
        """Code an 8-bit RGB file."""

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """Decode to (height, width, 3)."""


class Ours:
    """`vqcodec.encode` and `vqcodec.decode`, on the CPU as all others.

    Args:
        tier: one that the pack has.
        model: a pack's name or folder; None takes the default.
        threads: for the networks.
        backend: what runs these.
    """

    def __init__(self, tier: int, model: str | None, threads: int, backend: str = "torch") -> None:
        self.tier = tier
        self.shared: dict[str, Any] = {
            "model": model,
            "threads": threads,
            "device": "cpu",
            "backend": backend,
        }

    def encode(self, picture: Path, coded: Path) -> None:
        """See `Contender`."""
        import vqcodec

        coded.write_bytes(vqcodec.encode(images.read_rgb(picture), tier=self.tier, **self.shared))

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """See `Contender`."""
        import vqcodec

        del height, width
        return vqcodec.decode(coded.read_bytes(), **self.shared)


class Taming:
    """taming's full-size networks with random weights, without the search for codewords.

    Its coded file says how large the latent is; `decode` fills it with noise.

    Args:
        threads: for the networks.
    """

    def __init__(self, threads: int) -> None:
        import torch
        from taming.modules.diffusionmodules.model import Decoder, Encoder

        torch.set_num_threads(threads)
        self.encoder, self.decoder = (
            net.eval().requires_grad_(False)
            for net in (Encoder(**TAMING_CONFIG, double_z=False), Decoder(**TAMING_CONFIG))
        )

    def encode(self, picture: Path, coded: Path) -> None:
        """See `Contender`."""
        import torch

        pixels = images.read_rgb(picture)
        sides = [(0, -side % TAMING_STRIDE) for side in pixels.shape[:2]]
        padded = np.pad(pixels, (*sides, (0, 0)), mode="edge")
        with torch.inference_mode():
            image = torch.from_numpy(padded).permute(2, 0, 1)[None].float().div(127.5).sub(1)
            latent = self.encoder(image)
        coded.write_text(json.dumps(latent.shape), encoding="utf-8")

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """See `Contender`."""
        import torch

        shape = json.loads(coded.read_text(encoding="utf-8"))
        with torch.inference_mode():
            image = self.decoder(torch.randn(shape, generator=torch.Generator().manual_seed(0)))[0]
            levels = image.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        return levels.permute(1, 2, 0).numpy()[:height, :width]


class Anchor:
    """A codec of `eval.codecs` at one setting.

    Args:
        name: of the codec.
        setting: of its knob.
    """

    def __init__(self, name: str, setting: float) -> None:
        from eval import codecs

        self.codec, self.setting = codecs.load(name), setting

    def encode(self, picture: Path, coded: Path) -> None:
        """See `Contender`."""
        self.codec.encode(picture, self.setting, coded)

    def decode(self, coded: Path, height: int, width: int) -> NDArray[np.uint8]:
        """See `Contender`."""
        return self.codec.decode(coded, height, width)


def make(words: Mapping[str, Any]) -> Contender:
    """Make what the words say: a "name", and what that takes beside it."""
    kinds: dict[str, Callable[..., Contender]] = {
        OURS: Ours,
        ONNX: partial(Ours, backend="onnx"),
        TAMING: Taming,
    }
    given = {key: value for key, value in words.items() if key != "name"}
    if words["name"] in kinds:
        return kinds[words["name"]](**given)
    return Anchor(words["name"], **given)


def do(contender: Contender, job: Mapping[str, Any]) -> dict[str, float]:
    """Do one job and say what it cost.

    Args:
        contender: that does it.
        job: "verb", "picture" and "coded" (files), "height", "width", "decoded": where the pixels
            go as PNG, or null to drop them.

    Returns:
        {"wall_s", "cpu_s"}: processor time is that of all threads and of programs that were run.
    """
    wall, cpu = time.perf_counter(), _cpu_s()
    if job["verb"] == "encode":
        contender.encode(Path(job["picture"]), Path(job["coded"]))
    else:
        pixels = contender.decode(Path(job["coded"]), job["height"], job["width"])
        if job["decoded"] is not None:
            Image.fromarray(pixels).save(job["decoded"])
    return {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu_s() - cpu}


def _cpu_s() -> float:
    used = os.times()  # for programs only: its clock ticks in hundredths of a second
    return time.process_time() + used.children_user + used.children_system


def main(words: str, job: str | None = None) -> None:
    """Do the one job, or those that come by stdin, until it ends."""
    # Libraries print to stdout as they like: the answers keep it, what others print is an error's.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        contender = make(json.loads(words))
        for line in [job] if job is not None else sys.stdin:
            print(json.dumps(do(contender, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
