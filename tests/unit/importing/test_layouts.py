"""Every way in which such weights are published gives the same pack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from vqcodec.errors import CheckpointError, InputError
from vqcodec.importing.architecture import recognise
from vqcodec.importing.archive import open_checkpoint
from vqcodec.importing.pack import Order, import_checkpoint
from vqcodec.importing.published import check_config
from vqcodec.importing.weights import select
from vqcodec.packs import store

from .conftest import GumbelVQ, VQModel, lightning, make

YAML = """
model:
  base_learning_rate: 4.5e-06
  target: {target}
  params:
    embed_dim: 16
    n_embed: {n_embed}
    ddconfig:
      double_z: false
      z_channels: 16
      resolution: 256
      in_channels: 3
      out_ch: 3
      ch: {ch}
      ch_mult: [1, 1, 2, 2, 4]
      num_res_blocks: 1
      attn_resolutions: [{attention}]
      dropout: 0.0
    lossconfig:
      target: taming.modules.losses.vqperceptual.VQLPIPSWithDiscriminator
"""
DIFFUSERS = {
    "_class_name": "VQModel",
    "_diffusers_version": "0.30.0",
    "act_fn": "silu",
    "block_out_channels": [32, 32, 64, 64, 128],
    "down_block_types": [*["DownEncoderBlock2D"] * 4, "AttnDownEncoderBlock2D"],
    "up_block_types": ["AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * 4],
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 16,
    "layers_per_block": 1,
    "norm_num_groups": 32,
    "num_vq_embeddings": 64,
    "vq_embed_dim": 16,
    "sample_size": 256,
}


@pytest.fixture(scope="module")
def digest(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the pack that the usual file gives."""
    out = tmp_path_factory.mktemp("models")
    return store.load(import_checkpoint(Order(checkpoint, "mine", out))).digest


def imported(path: Path, out: Path, **more: object) -> store.Pack:
    return store.load(import_checkpoint(Order(path, "mine", out / "models", **more)))


def bare(model: VQModel) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def legacy(model: VQModel, path: Path) -> Path:
    torch.save(lightning(model), path / "a.ckpt", _use_new_zipfile_serialization=False)
    return path / "a.ckpt"


def plain(model: VQModel, path: Path) -> Path:
    torch.save(bare(model), path / "a.pt")
    return path / "a.pt"


def under_model(model: VQModel, path: Path) -> Path:
    torch.save({"model": bare(model), "optimizer": {"state": {}}}, path / "a.pth")
    return path / "a.pth"


def parallel(model: VQModel, path: Path) -> Path:
    state = {f"module.{key}": torch.nn.Parameter(value) for key, value in bare(model).items()}
    torch.save({"state_dict": state}, path / "a.pth")
    return path / "a.pth"


def first_stage(model: VQModel, path: Path) -> Path:
    state = {f"first_stage_model.{key}": value for key, value in bare(model).items()}
    state["transformer.tok_emb.weight"] = torch.zeros(64, 8)
    torch.save(lightning(model, state), path / "a.ckpt")
    return path / "a.ckpt"


def safetensors(model: VQModel, path: Path) -> Path:
    save_file(bare(model), path / "a.safetensors")
    return path / "a.safetensors"


def strided(model: VQModel, path: Path) -> Path:
    """All in one storage, turned round: as views they are saved."""
    state = bare(model)
    flat = torch.cat([value.flatten() for value in state.values()])
    views = torch.split(flat, [value.numel() for value in state.values()])
    shaped = zip(state, views, state.values(), strict=True)
    out = {key: view.view(value.shape) for key, view, value in shaped}
    words = out["quantize.embedding.weight"]
    out["quantize.embedding.weight"] = words.t().contiguous().t()
    torch.save({"state_dict": out}, path / "a.ckpt")
    return path / "a.ckpt"


def averaged(model: VQModel, path: Path) -> Path:
    """LitEma: the averages' names have lost their dots; the raw weights are other ones."""
    state = bare(model)
    average = {f"model_ema.{key.replace('.', '')}": value for key, value in state.items()}
    average["model_ema.decay"] = torch.tensor(0.9999)
    average["model_ema.num_updates"] = torch.tensor(500, dtype=torch.int32)
    raw = {key: value + 1 for key, value in state.items()}
    torch.save(lightning(model, {**raw, **average}), path / "a.ckpt")
    return path / "a.ckpt"


def never_averaged(model: VQModel, path: Path) -> Path:
    """Averages that were never updated are the weights before the training."""
    state = bare(model)
    average = {f"model_ema.{key.replace('.', '')}": value + 1 for key, value in state.items()}
    average["model_ema.num_updates"] = torch.tensor(0, dtype=torch.int32)
    torch.save(lightning(model, {**state, **average}), path / "a.ckpt")
    return path / "a.ckpt"


def averaged_codebook(model: VQModel, path: Path) -> Path:
    """EMAVectorQuantizer keeps sums beside its words; LitEma leaves out what has no gradient."""
    state = bare(model)
    words = state["quantize.embedding.weight"]
    average = {
        f"model_ema.{key.replace('.', '')}": value
        for key, value in state.items()
        if not key.startswith("quantize.")
    }
    raw = {k: value if k.startswith("quantize.") else value + 1 for k, value in state.items()}
    raw["quantize.embedding.cluster_size"] = torch.ones(len(words))
    raw["quantize.embedding.embed_avg"] = words + 3
    torch.save(lightning(model, {**raw, **average}), path / "a.ckpt")
    return path / "a.ckpt"


@pytest.mark.parametrize(
    "save",
    [
        *(legacy, plain, under_model, parallel, first_stage, safetensors, strided),
        *(averaged, never_averaged, averaged_codebook),
    ],
    ids=lambda save: save.__name__,
)
def test_the_same_pack_comes_of(
    save: Callable[[VQModel, Path], Path], vqgan: VQModel, digest: str, tmp_path: Path
) -> None:
    said: list[str] = []
    path = save(vqgan, tmp_path)
    pack = store.load(import_checkpoint(Order(path, "mine", tmp_path / "models"), said.append))
    assert pack.digest == digest
    if save is averaged:
        assert "averaged weights (EMA) taken" in said[0]
        assert pack.manifest.training["weights_taken"] == "averaged (EMA)"
    if save is never_averaged:
        assert "never updated" in said[0]


def as_diffusers(model: VQModel, is_new: bool, is_linear: bool) -> dict[str, Tensor]:
    """The layout of diffusers' VQModel, written out for the small net: five levels of one block."""
    state, out = bare(model), {}

    def move(theirs: str, ours: str) -> None:
        for kind in ("weight", "bias"):
            out[f"{theirs}.{kind}"] = state.pop(f"{ours}.{kind}")

    def resnet(theirs: str, ours: str) -> None:
        for part in ("norm1", "conv1", "norm2", "conv2"):
            move(f"{theirs}.{part}", f"{ours}.{part}")
        if f"{ours}.nin_shortcut.weight" in state:
            move(f"{theirs}.conv_shortcut", f"{ours}.nin_shortcut")

    def attention(theirs: str, ours: str) -> None:
        old = {"q": "query", "k": "key", "v": "value", "proj_out": "proj_attn"}
        new = {"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
        move(f"{theirs}.group_norm", f"{ours}.norm")
        for part, name in (new if is_new else old).items():
            move(f"{theirs}.{name}", f"{ours}.{part}")
            if is_linear:
                out[f"{theirs}.{name}.weight"] = out[f"{theirs}.{name}.weight"][:, :, 0, 0]

    for half in ("encoder", "decoder"):
        move(f"{half}.conv_in", f"{half}.conv_in")
        move(f"{half}.conv_norm_out", f"{half}.norm_out")
        move(f"{half}.conv_out", f"{half}.conv_out")
        resnet(f"{half}.mid_block.resnets.0", f"{half}.mid.block_1")
        attention(f"{half}.mid_block.attentions.0", f"{half}.mid.attn_1")
        resnet(f"{half}.mid_block.resnets.1", f"{half}.mid.block_2")
    for level in range(5):
        resnet(f"encoder.down_blocks.{level}.resnets.0", f"encoder.down.{level}.block.0")
    attention("encoder.down_blocks.4.attentions.0", "encoder.down.4.attn.0")
    for level in range(4):
        name = f"encoder.down_blocks.{level}.downsamplers.0.conv"
        move(name, f"encoder.down.{level}.downsample.conv")
    for block, level in enumerate((4, 3, 2, 1, 0)):
        for n in (0, 1):
            resnet(f"decoder.up_blocks.{block}.resnets.{n}", f"decoder.up.{level}.block.{n}")
    for n in (0, 1):
        attention(f"decoder.up_blocks.0.attentions.{n}", f"decoder.up.4.attn.{n}")
    for block, level in enumerate((4, 3, 2, 1)):
        name = f"decoder.up_blocks.{block}.upsamplers.0.conv"
        move(name, f"decoder.up.{level}.upsample.conv")
    move("quant_conv", "quant_conv")
    move("post_quant_conv", "post_quant_conv")
    out["quantize.embedding.weight"] = state.pop("quantize.embedding.weight")
    assert all(key.startswith("loss.") for key in state)
    return {key: value.contiguous() for key, value in out.items()}


@pytest.mark.parametrize("is_new", [False, True], ids=["query", "to_q"])
@pytest.mark.parametrize("is_linear", [False, True], ids=["1x1", "linear"])
def test_diffusers_layout_gives_the_same_pack(
    is_new: bool, is_linear: bool, vqgan: VQModel, digest: str, tmp_path: Path
) -> None:
    state = as_diffusers(vqgan, is_new, is_linear)
    folder = tmp_path / ("vae" if is_new else "net")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(DIFFUSERS))
    if is_linear:
        torch.save(state, folder / "diffusion_pytorch_model.bin")
        given = folder / "diffusion_pytorch_model.bin"
    else:
        save_file(state, folder / "diffusion_pytorch_model.safetensors")
        given = tmp_path if is_new else folder
    pack = imported(given, tmp_path)
    assert pack.digest == digest
    assert pack.manifest.training["layout"] == "diffusers"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"layers_per_block": 2}, "num_res_blocks is 2, and the weights have 1"),
        ({"block_out_channels": [32, 32, 64, 64, 64]}, "ch_mult"),
        ({"norm_num_groups": 16}, "norm_num_groups is 16; only 32"),
        ({"act_fn": "relu"}, "act_fn"),
        ({"_class_name": "AutoencoderKL"}, "AutoencoderKL"),
        ({"down_block_types": ["Strange"] * 5}, "Strange"),
        ({"up_block_types": ["UpDecoderBlock2D"] * 5}, "different levels"),
        ({"num_vq_embeddings": 128}, "n_embed is 128"),
    ],
)
def test_diffusers_config_must_agree(
    change: dict, word: str, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(DIFFUSERS | change))
    found = recognise(checkpoint, select(open_checkpoint(checkpoint)).shapes)
    with pytest.raises(CheckpointError, match=word):
        check_config(tmp_path / "config.json", found)


def test_published_yaml_must_agree(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed (extra [taming])")
    found = recognise(checkpoint, select(open_checkpoint(checkpoint)).shapes)
    path = tmp_path / "model.yaml"

    def check(**change: object) -> None:
        usual = {"target": "taming.models.vqgan.VQModel", "n_embed": 64, "ch": 32, "attention": 16}
        path.write_text(YAML.format(**(usual | change)))
        check_config(path, found)

    check()
    check(target="ldm.models.autoencoder.VQModelInterface")
    for change, word in (
        ({"ch": 128}, "ch is 128, and the weights have 32"),
        ({"n_embed": 1024}, "n_embed is 1024"),
        ({"attention": 32}, "list of levels that attend"),
        ({"target": "taming.models.vqgan.GumbelVQ"}, "being a GumbelVQ is True"),
        ({"target": "ldm.models.autoencoder.AutoencoderKL"}, "AutoencoderKL is not known"),
    ):
        with pytest.raises(CheckpointError, match=word):
            check(**change)
    for text, word in (
        ("a: &a [1]\nb: *a\n", "aliases"),
        ("- 1\n", "no table"),
        ("data: {}\n", "has no 'model'"),
        ("a: [", "not valid YAML"),
        ("[" * 8_000, "YAML"),
        ("!!python/object/apply:os.system [ls]", "not valid YAML"),
        ("a" * 20_000, "larger than"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=word):
            check_config(path, found)


def test_a_transformers_yaml_tells_of_its_first_stage(checkpoint: Path, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (extra [taming])")
    usual = {"target": "taming.models.vqgan.VQModel", "n_embed": 64, "ch": 32, "attention": 16}
    inner = yaml.safe_load(YAML.format(**usual))["model"]
    target = "taming.models.cond_transformer.Net2NetTransformer"
    outer = {"model": {"target": target, "params": {"first_stage_config": inner}}}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(outer))
    found = recognise(checkpoint, select(open_checkpoint(checkpoint)).shapes)
    check_config(tmp_path / "a.yaml", found)


def test_a_gumbel_network_is_known_by_its_shapes(tmp_path: Path) -> None:
    torch.save(lightning(make(GumbelVQ, 8, 32)), tmp_path / "a.ckpt")
    chosen = select(open_checkpoint(tmp_path / "a.ckpt"))
    found = recognise(tmp_path / "a.ckpt", chosen.shapes)
    assert found.config == {
        **{"ch": 32, "ch_mult": [1, 1, 2, 4], "num_res_blocks": 1, "attn_resolutions": [32]},
        **{"resolution": 256, "z_channels": 16, "embed_dim": 16, "gumbel_words": 32},
    }
    assert (found.stride, found.n_words, found.attention) == (8, 32, (3,))
