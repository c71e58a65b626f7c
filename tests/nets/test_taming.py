"""The taming VQGAN has the keys of CompVis checkpoints; without its package, a clear word."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from vqcodec.errors import BackendError
from vqcodec.nets.autoencoder import build

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
