"""The taming VQGAN has the keys of CompVis checkpoints; without its package, a clear word."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

from vqcodec import tiles
from vqcodec.errors import BackendError
from vqcodec.nets.autoencoder import Autoencoder, build
from vqcodec.nets.load import Nets
from vqcodec.nets.quantizer import nearest
from vqcodec.nets.taming import Gumbel, TamingVqgan
from vqcodec.nets.taming_layers import Attention, Norm, measured

SMALL = {"ch": 32, "ch_mult": [1, 1, 2, 2, 4], "z_channels": 32, "embed_dim": 16}

needs_taming = pytest.mark.skipif(
    importlib.util.find_spec("taming") is None,
    reason="taming-transformers is not installed (extra [taming])",
)


@needs_taming
def test_keys_and_shapes_are_those_of_compvis_checkpoints() -> None:
    with torch.device("meta"):
        state = build("taming", {}).state_dict()
    assert {key.split(".")[0] for key in state} == {
        *("encoder", "decoder", "quant_conv", "post_quant_conv")
    }
    shapes = {
        "encoder.conv_in.weight": (128, 3, 3, 3),
        "encoder.down.4.attn.0.q.weight": (512, 512, 1, 1),
        "encoder.mid.block_1.norm1.weight": (512,),
        "encoder.conv_out.weight": (256, 512, 3, 3),
        "quant_conv.weight": (256, 256, 1, 1),
        "post_quant_conv.bias": (256,),
        "decoder.up.0.block.2.conv2.weight": (128, 128, 3, 3),
        "decoder.conv_out.weight": (3, 128, 3, 3),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@needs_taming
def test_it_has_the_common_interface_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    net = build("taming", SMALL).eval()
    with torch.inference_mode():
        latent = net.encode(torch.rand(1, 3, 32, 48), 1)
        assert net.decode(latent, 9).shape == (1, 3, 32, 48)
    assert latent.shape == (1, 16, 2, 3)
    assert net.stride == 16
    assert capsys.readouterr().out == ""


def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "taming", None)
    monkeypatch.setitem(sys.modules, "taming.modules.diffusionmodules.model", None)
    with pytest.raises(BackendError, match="pip install"):
        build("taming", SMALL)


@needs_taming
def test_tiers_may_have_convolutions_of_their_own() -> None:
    torch.manual_seed(0)
    net = build("taming", {**SMALL, "n_tiers": 3}).eval()
    assert isinstance(net, TamingVqgan)
    assert net.n_tiers == 3
    state = net.state_dict()
    assert tuple(state["quant_conv.weight"].shape) == (3, 16, 32)
    assert tuple(state["post_quant_conv.bias"].shape) == (3, 32)
    with torch.inference_mode():
        net.quant_conv.weight[1] += 0.1
        net.post_quant_conv.bias[1] += 0.1
        image = torch.rand(2, 3, 32, 32)
        mixed = net.encode(image, torch.tensor([2, 3]))
        assert torch.allclose(mixed[:1], net.encode(image[:1], 2), atol=1e-5)
        assert torch.allclose(mixed[1:], net.encode(image[1:], 3), atol=1e-5)
        assert not torch.allclose(mixed[1:], net.encode(image[1:], 2), atol=1e-3)
        decoded = net.decode(mixed, torch.tensor([1, 2]))
        assert torch.allclose(decoded[1:], net.decode(mixed[1:], 2), atol=1e-5)
        assert not torch.allclose(decoded[1:], net.decode(mixed[1:], 1), atol=1e-3)


@needs_taming
def test_all_tiers_alike_are_the_net_of_the_checkpoint() -> None:
    torch.manual_seed(0)
    one = build("taming", SMALL).eval()
    many = build("taming", {**SMALL, "n_tiers": 2}).eval()
    state = one.state_dict()
    for name in ("quant_conv", "post_quant_conv"):
        state[f"{name}.weight"] = state[f"{name}.weight"][..., 0, 0].expand(2, -1, -1)
        state[f"{name}.bias"] = state[f"{name}.bias"].expand(2, -1)
    many.load_state_dict(state)
    image = torch.rand(2, 3, 32, 48)
    with torch.inference_mode():
        latent = one.encode(image, 1)
        for tier in (1, 2, torch.tensor([2, 1])):
            assert torch.allclose(many.encode(image, tier), latent, atol=1e-6)
            assert torch.allclose(many.decode(latent, tier), one.decode(latent, 1), atol=1e-5)


@needs_taming
def test_a_gumbel_net_gives_the_word_of_the_largest_logit() -> None:
    torch.manual_seed(0)
    net = build("taming", {**SMALL, "gumbel_words": 24}).eval()
    assert isinstance(net, TamingVqgan)
    assert net.gumbel is not None
    assert tuple(net.state_dict()["gumbel.proj.weight"].shape) == (24, 16, 1, 1)
    assert tuple(net.state_dict()["gumbel.embed.weight"].shape) == (24, 16)
    image = torch.rand(2, 3, 32, 48) * 2 - 1
    with torch.inference_mode():
        logits = net.gumbel.proj(net.quant_conv(net.encoder(image)))
        chosen = logits.argmax(1)  # (B, h, w)
        words = net.gumbel.embed.weight
        latent = net.encode(image, 1)
        assert torch.equal(latent.permute(0, 2, 3, 1), words[chosen])
        found = nearest(latent.permute(0, 2, 3, 1).flatten(0, 2), words)
    assert torch.equal(found, chosen.flatten())
    assert len(chosen.unique()) > 1


def test_equal_logits_go_to_the_first_word() -> None:
    gumbel = Gumbel(3, 5)
    torch.nn.init.zeros_(gumbel.proj.weight)
    with torch.no_grad():
        gumbel.proj.bias.copy_(torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0]))
        latent = gumbel(torch.randn(2, 3, 4, 4))
    assert torch.equal(latent.permute(0, 2, 3, 1), gumbel.embed.weight[1].expand(2, 4, 4, 3))


def test_gradients_pass_a_gumbel_choice_straight_through() -> None:
    torch.manual_seed(0)
    gumbel = Gumbel(3, 5)
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    hard = gumbel(x)
    with torch.no_grad():
        assert torch.allclose(hard, gumbel(x), atol=1e-6)
    hard.square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    for parameter in gumbel.parameters():
        assert parameter.grad is not None
        assert parameter.grad.any()


@needs_taming
@pytest.mark.parametrize(("ch_mult", "side"), [([1, 1, 2, 2, 4], 64), ([1, 2, 2, 4], 128)])
def test_up_to_1024_pixels_are_seen_whole(ch_mult: list[int], side: int) -> None:
    with torch.device("meta"):
        net = build("taming", {"ch_mult": ch_mult})
    assert len(tiles.cut(side, side, net.encoder_halo, core=net.core, whole=net.whole)) == 1
    cut = tiles.cut(side, 3 * side, net.decoder_halo, core=net.core, whole=net.whole)
    assert len(cut) == 8
    frames = [(tile.frame[0], tile.frame[1]) for tile in cut]
    assert max(rows.stop - rows.start for rows, _ in frames) <= side
    assert max(columns.stop - columns.start for _, columns in frames) <= side


@needs_taming
@torch.inference_mode()
def test_attention_is_that_of_the_package() -> None:
    from taming.modules.diffusionmodules.model import AttnBlock

    torch.manual_seed(0)
    block = AttnBlock(64).eval()
    x = 3 * torch.randn(2, 64, 9, 14)
    ours = Attention(block).eval()
    assert ours.state_dict().keys() == block.state_dict().keys()
    for memory in (torch.contiguous_format, torch.channels_last):
        assert torch.allclose(ours(x.to(memory_format=memory)), block(x), atol=1e-5)
    net = build("taming", SMALL)
    assert not [part for part in net.modules() if isinstance(part, AttnBlock)]
    assert sum(isinstance(part, Attention) for part in net.modules()) == 2 * 3 + 1


@torch.inference_mode()
def test_a_norm_repeats_what_it_has_seen() -> None:
    torch.manual_seed(0)
    norm = Norm(torch.nn.GroupNorm(4, 8, eps=1e-6))
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = 5 + 3 * torch.randn(1, 8, 6, 10)
    wanted = norm(x)
    with measured(lambda: norm(x)):
        assert torch.allclose(norm(x), wanted, atol=1e-5)
        part = norm(x[..., :3, :4])
        assert torch.allclose(part, wanted[..., :3, :4], atol=1e-5)
    assert not torch.allclose(norm(x[..., :3, :4]), wanted[..., :3, :4], atol=1e-2)


@needs_taming
def test_tiles_are_seen_as_parts_of_their_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture whose halves differ much: each tile alone would be normalised for itself."""
    torch.manual_seed(0)
    net = build("taming", {**SMALL, "num_res_blocks": 1}).eval()
    nets = Nets(net, {1: torch.randn(8, 16)}, torch.device("cpu"))
    random = np.random.default_rng(0)
    levels = np.where(np.arange(256) < 128, 60, 200)[None, :, None]
    spread = np.where(np.arange(256) < 128, 4, 40)[None, :, None]
    picture = levels + spread * random.normal(0, 1, (128, 256, 3))
    pixels = picture.clip(0, 255).astype(np.uint8)
    whole = nets.to_latents(pixels, 1)
    painted = nets.from_latents(whole, 1).astype(float)
    net.whole, net.core, net.encoder_halo, net.decoder_halo = 64, 4, 2, 2
    # So small a sample would stand for little.
    monkeypatch.setattr(tiles, "sample", lambda h, w, side: [[(slice(0, h), slice(0, w))]])
    tiled = nets.to_latents(pixels, 1)
    mine = nets.from_latents(whole, 1).astype(float)
    net.measured = lambda run: Autoencoder.measured(net, run)
    apart = nets.to_latents(pixels, 1)
    theirs = nets.from_latents(whole, 1).astype(float)
    assert np.square(tiled - whole).mean() < 0.5 * np.square(apart - whole).mean()
    assert np.square(mine - painted).mean() < 0.8 * np.square(theirs - painted).mean()
