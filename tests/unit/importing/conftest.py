"""taming's own networks as their authors build and save them, small, and photos."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.one_thread import one_thread  # noqa: F401  (autouse)

pytest.importorskip("taming", reason="taming-transformers is not installed (extra [taming])")

SIZES = {
    16: {"ch_mult": (1, 1, 2, 2, 4), "attn_resolutions": (16,)},
    8: {"ch_mult": (1, 1, 2, 4), "attn_resolutions": (32,)},
}


def ddconfig(stride: int = 16, ch: int = 32, z: int = 16) -> dict:
    """The published configuration, narrower."""
    return {
        **{"double_z": False, "z_channels": z, "resolution": 256, "in_channels": 3, "out_ch": 3},
        **{"ch": ch, "num_res_blocks": 1, "dropout": 0.0, **SIZES[stride]},
    }


class VQModel(nn.Module):
    """taming.models.vqgan.VQModel without the training around it (that needs Lightning)."""

    def __init__(self, dd: dict, n_embed: int, embed_dim: int) -> None:
        from taming.modules.diffusionmodules.model import Decoder, Encoder
        from taming.modules.vqvae.quantize import VectorQuantizer

        super().__init__()
        with contextlib.redirect_stdout(io.StringIO()):
            self.encoder, self.decoder = Encoder(**dd), Decoder(**dd)
        self.loss = nn.ModuleDict({"discriminator": nn.Conv2d(3, 8, 3)})
        self.quantize = VectorQuantizer(n_embed, embed_dim, beta=0.25)
        self.quant_conv = nn.Conv2d(dd["z_channels"], embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, dd["z_channels"], 1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        quant, _, (_, _, indices) = self.quantize(self.quant_conv(self.encoder(x)))
        return quant, indices.reshape(quant.shape[2:])

    def decode(self, quant: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(quant))


class GumbelQuantize(nn.Module):
    """What is published of it, for inference: a projection, the likeliest word, its embedding."""

    def __init__(self, num_hiddens: int, embedding_dim: int, n_embed: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(num_hiddens, n_embed, 1)
        self.embed = nn.Embedding(n_embed, embedding_dim)


class GumbelVQ(VQModel):
    """taming.models.vqgan.GumbelVQ, deterministic as its users take codes."""

    def __init__(self, dd: dict, n_embed: int, embed_dim: int) -> None:
        super().__init__(dd, n_embed, embed_dim)
        self.quantize = GumbelQuantize(dd["z_channels"], embed_dim, n_embed)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.quantize.proj(self.quant_conv(self.encoder(x)))
        indices = logits.argmax(1)
        return self.quantize.embed(indices).permute(0, 3, 1, 2), indices[0]


def make(kind: type = VQModel, stride: int = 16, n_embed: int = 64, **more: int) -> VQModel:
    """A network of random weights whose codewords are spread as its latents are.

    Its pictures are quartered, to lie within [-1, 1] as trained ones do: float32 errs by size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stride)
        model = kind(ddconfig(stride, **more), n_embed, more.get("z", 16)).eval()
        with torch.no_grad():
            latents = model.quant_conv(model.encoder(torch.rand(1, 3, 64, 64) * 2 - 1))
            spread = latents.std((0, 2, 3))
            words = latents.mean((0, 2, 3)) + torch.randn(n_embed, len(spread)) * spread
            embedding = model.quantize.embed if kind is GumbelVQ else model.quantize.embedding
            embedding.weight.copy_(words)
            model.decoder.conv_out.weight.div_(4)
    return model


class ModelCheckpoint:
    """Stands for pytorch_lightning's callback: a class as a key, unknown where the file is read."""


def lightning(model: nn.Module, state: dict | None = None) -> dict:
    """What Lightning's trainer saves of a training."""
    state = OrderedDict(model.state_dict() if state is None else state)
    first = next(iter(model.parameters()))
    adam = {0: {"step": 7, "exp_avg": torch.zeros_like(first), "exp_avg_sq": first.detach() ** 2}}
    group = {"lr": 5.4e-05, "betas": (0.5, 0.9), "params": [0]}
    return {
        "epoch": 3,
        "global_step": 1234,
        "pytorch-lightning_version": "1.0.8",
        "callbacks": {ModelCheckpoint: {"best_model_score": np.float64(0.5), "best": first[0]}},
        "optimizer_states": [{"state": adam, "param_groups": [group]}],
        "lr_schedulers": [],
        "state_dict": state,
        "hparams_name": "kwargs",
        "hyper_parameters": argparse.Namespace(embed_dim=16),
    }


@pytest.fixture(scope="session")
def vqgan() -> VQModel:
    """A small f16."""
    return make()


@pytest.fixture(scope="session")
def checkpoint(vqgan: VQModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small f16 as Lightning saved it."""
    path = tmp_path_factory.mktemp("checkpoint") / "last.ckpt"
    torch.save(lightning(vqgan), path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four seeded photos of 96 x 160 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :160]
    for n in range(4):
        wave = 127 + 100 * np.sin(x / (7 + 5 * n))[..., None] * np.cos(y / 9)[..., None]
        pixels = wave + random.normal(0, 12, (96, 160, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
    return folder


@pytest.fixture(scope="session")
def picture(photos: Path) -> np.ndarray:
    """One of the photos, (96, 160, 3) uint8."""
    return np.asarray(Image.open(photos / "1.png"))
