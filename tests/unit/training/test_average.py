"""Averaging runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vqcodec.errors import InputError
from vqcodec.nets.autoencoder import build
from vqcodec.training import checkpoint
from vqcodec.training.average import average
from vqcodec.training.tokenizer import Tokenizer

CONFIG = {
    "latent_dim": 4,
    "encoder_channels": [8, 8, 8],
    "encoder_blocks": [1, 1, 1],
    "decoder_channels": [8, 8, 8, 8],
    "decoder_blocks": [1, 1, 1, 1],
}


def saved(path: Path, shift: float, n_words: int = 8, config: dict | None = None) -> Path:
    """A model whose every weight and word is moved by `shift` from one common start."""
    torch.manual_seed(5)
    config = config or CONFIG
    net = build("light", config)
    words = torch.nn.functional.normalize(torch.randn(n_words, 4), dim=1) * 2
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += shift
    model = Tokenizer(net, torch.randn(16, 4), {n_words.bit_length() - 3: words})
    checkpoint.save_ema(model, path)
    return path


def test_weights_are_the_mean_and_codewords_stay_on_the_sphere(tmp_path) -> None:
    runs = [saved(tmp_path / f"{shift}.safetensors", shift) for shift in (0.0, 0.5, 1.0)]
    average(runs, tmp_path / "mean.safetensors")
    mean, middle = (checkpoint.load_start(p) for p in (tmp_path / "mean.safetensors", runs[1]))
    assert mean.state.keys() == middle.state.keys()
    for key, value in middle.state.items():
        assert torch.allclose(mean.state[key], value, atol=1e-6)
    assert torch.allclose(mean.codebooks[1], middle.codebooks[1], atol=1e-6)
    assert mean.base is not None
    assert middle.base is not None
    assert torch.allclose(mean.base, middle.base)


def test_runs_that_do_not_belong_together_are_refused(tmp_path) -> None:
    one = saved(tmp_path / "one.safetensors", 0)
    with pytest.raises(InputError, match="two runs or more"):
        average([one], tmp_path / "mean.safetensors")
    wider = saved(
        tmp_path / "wider.safetensors", 0, config={**CONFIG, "encoder_channels": [8, 8, 16]}
    )
    other_tiers = saved(tmp_path / "tiers.safetensors", 0, n_words=16)
    for other in (wider, other_tiers):
        with pytest.raises(InputError, match="another network or other tiers"):
            average([one, other], tmp_path / "mean.safetensors")
    with pytest.raises(InputError):
        average([one, tmp_path / "missing.safetensors"], tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()
