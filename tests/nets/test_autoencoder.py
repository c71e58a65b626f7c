"""The one interface: shapes, tiers, and configs that are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from vqcodec.errors import PackError
from vqcodec.nets.autoencoder import build
from vqcodec.nets.light import LightVqgan

SMALL: dict[str, Any] = {
    "latent_dim": 4,
    "encoder_channels": [4, 4, 6],
    "encoder_blocks": [1, 1, 1],
    "decoder_channels": [4, 4, 4, 6],
    "decoder_blocks": [1, 1, 1, 1],
}


def _random_net() -> LightVqgan:
    torch.manual_seed(0)
    net = build("light", SMALL)
    assert isinstance(net, LightVqgan)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return net.eval()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80)])
def test_latent_and_image_have_the_promised_shapes(height: int, width: int) -> None:
    net = _random_net()
    latent = net.encode(torch.rand(2, 3, height, width) * 2 - 1, 9)
    assert latent.shape == (2, 4, height // 16, width // 16)
    assert latent.dtype == torch.float32
    assert net.decode(latent, 9).shape == (2, 3, height, width)


def test_light_latents_have_norm_sqrt_d() -> None:
    latent = _random_net().encode(torch.rand(1, 3, 64, 64), 3)
    assert torch.allclose(latent.norm(dim=1), torch.tensor(math.sqrt(4)))


def test_tiers_may_be_mixed_in_a_batch() -> None:
    net = _random_net()
    image = torch.rand(2, 3, 32, 32)
    mixed = net.encode(image, torch.tensor([2, 7]))
    assert torch.allclose(mixed[:1], net.encode(image[:1], 2), atol=1e-5)
    assert torch.allclose(mixed[1:], net.encode(image[1:], 7), atol=1e-5)
    assert not torch.allclose(mixed[1:], net.encode(image[1:], 2), atol=1e-3)


def test_blocks_start_as_the_identity() -> None:
    for name, parameter in build("light", SMALL).named_parameters():
        if name.endswith(("blocks.0.b.weight", "film.scale", "film.shift")) and "s16" not in name:
            assert not parameter.any(), name


def test_the_default_net_has_11_7_million_weights() -> None:
    with torch.device("meta"):
        net = build("light", {})
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == 11.7
    assert (net.stride, net.encoder_halo, net.decoder_halo) == (16, 8, 8)


@pytest.mark.parametrize(
    ("kind", "config", "word"),
    [
        ("magic", {}, "magic"),
        ("light", {"latent_dims": 4}, "latent_dims"),
        ("light", {"latent_dim": 10**9}, "latent_dim"),
        ("light", {"latent_dim": True}, "latent_dim"),
        ("light", {"n_tiers": 13}, "n_tiers"),
        ("light", {"latent_dim": "4"}, "latent_dim"),
        ("light", {"encoder_channels": [4, 4]}, "encoder_channels"),
        ("light", {"encoder_channels": 4}, "encoder_channels"),
        ("light", {"decoder_blocks": [1, 1, 1, 99999]}, "decoder_blocks"),
        ("light", {"decoder_blocks": [1, 1, 1, -1]}, "decoder_blocks"),
        ("taming", {"ch": 33}, "ch"),
        ("taming", {"ch_mult": []}, "ch_mult"),
        ("taming", {"n_tiers": 13}, "n_tiers"),
        ("taming", {"gumbel_words": 1 << 17}, "gumbel_words"),
    ],
)
def test_configs_that_are_wrong_or_absurd_are_refused(
    kind: str, config: dict[str, Any], word: str
) -> None:
    with pytest.raises(PackError, match=word):
        build(kind, config)
