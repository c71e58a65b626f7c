"""Imported packs do what taming's own networks do: indices, pictures, files."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import vqcodec
from vqcodec.errors import VqcError
from vqcodec.importing.pack import Order, import_checkpoint
from vqcodec.nets.load import load
from vqcodec.packs import store
from vqcodec.training.checkpoint import load_start

from .conftest import GumbelVQ, VQModel, lightning, make

HIGHEST = 4  # the tier of 64 words


def as_taming(model: VQModel, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (h, w) and picture (H, W, 3) in [-1, 1] of taming's own forward pass."""
    image = torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        quant, indices = model.encode(image)
        return indices.numpy(), model.decode(quant)[0].permute(1, 2, 0).numpy()


def floats_of(pack: store.Pack, picture: np.ndarray, tier: int) -> np.ndarray:
    """The picture that the pack's network paints, (H, W, 3) in [-1, 1], before it is rounded."""
    nets = load(pack, device="cpu")
    words = torch.from_numpy(nets.codewords(tier)[nets.to_indices(picture, tier)])
    with torch.inference_mode():
        return nets.net.decode(words.permute(2, 0, 1)[None], tier)[0].permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def pack(checkpoint: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> store.Pack:
    out = tmp_path_factory.mktemp("models")
    return store.load(import_checkpoint(Order(checkpoint, "mine", out)))


def test_indices_and_pictures_are_those_of_taming(
    pack: store.Pack, vqgan: VQModel, picture: np.ndarray
) -> None:
    indices, painted = as_taming(vqgan, picture)
    assert len(np.unique(indices)) > 5
    assert np.array_equal(load(pack, device="cpu").to_indices(picture, HIGHEST), indices)
    assert np.abs(floats_of(pack, picture, HIGHEST) - painted).max() <= 1e-5


def test_in_float64_nothing_is_between_them(
    pack: store.Pack, vqgan: VQModel, picture: np.ndarray
) -> None:
    ours, theirs = load(pack, device="cpu").net.double(), copy.deepcopy(vqgan).double()
    image = torch.from_numpy(picture / 127.5 - 1).permute(2, 0, 1)[None]
    factor = pack.manifest.training["latents_times"]
    with torch.inference_mode():
        quant, _ = theirs.encode(image)
        latents = theirs.quant_conv(theirs.encoder(image))
        assert (ours.encode(image, HIGHEST) / factor - latents).abs().max() < 1e-12
        painted = ours.decode(quant * factor, HIGHEST)
        assert (painted - theirs.decode(quant)).abs().max() < 1e-12


def test_a_file_carries_the_indices(pack: store.Pack, vqgan: VQModel, picture: np.ndarray) -> None:
    cut = picture[:90, :150]
    padded = np.pad(cut, ((0, 6), (0, 10), (0, 0)), "edge")
    for coding, n_packets in (("fixed", 1), ("table", 1), ("fixed", 4)):
        data = vqcodec.encode(
            cut, tier=HIGHEST, model=pack.path, coding=coding, n_packets=n_packets, device="cpu"
        )
        decoded = vqcodec.decode_with_losses(data, model=pack.path, device="cpu")
        assert np.array_equal(decoded.indices, as_taming(vqgan, padded)[0])
        assert decoded.pixels.shape == cut.shape


def test_the_pack_says_what_it_is(pack: store.Pack, checkpoint: Path) -> None:
    pack.check()
    manifest = pack.manifest
    assert [(entry.tier, entry.codebook_size) for entry in manifest.tiers] == [
        *((1, 8), (2, 16), (3, 32), (4, 64))
    ]
    assert (manifest.default_tier, manifest.stride, manifest.net_kind) == (4, 16, "taming")
    assert manifest.training["imported_from"] == checkpoint.name
    assert manifest.licence == "not stated"
    assert set(pack.frequencies(3)) == {2**16 // 32}
    card = (pack.path / "CARD.md").read_text()
    assert "| 4 | 64 | the codebook |" in card
    assert "uniform" in card
    assert {path.name for path in pack.path.iterdir()} == {
        *("CARD.md", "manifest.toml", "weights.safetensors")
    }


def test_training_starts_from_the_pack(pack: store.Pack, vqgan: VQModel) -> None:
    start = load_start(pack.weights_path)
    factor = pack.manifest.training["latents_times"]
    assert torch.equal(start.base, vqgan.quantize.embedding.weight * factor)
    assert torch.equal(start.codebooks[HIGHEST], start.base)
    start.net()


def test_with_photos_the_best_way_is_taken_and_use_is_counted(
    checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    order = Order(checkpoint, "mine", tmp_path, data=[photos], licence="MIT")
    folder = import_checkpoint(order, said.append)
    pack = store.load(folder)
    assert pack.manifest.licence == "MIT"
    assert pack.manifest.training["frequency_photos"] == 4
    card = (folder / "CARD.md").read_text()
    rows = [line.split(" | ") for line in card.splitlines() if line.startswith("| 3 | 32")]
    distances = dict(zip(("words", "used words", "latents"), map(float, rows[0][2:5]), strict=True))
    assert rows[0][5] == f"{min(distances, key=distances.get)} |"
    assert len(set(pack.frequencies(4))) > 1


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("kind", [VQModel, GumbelVQ])
def test_every_kind_and_stride(
    kind: type, stride: int, picture: np.ndarray, photos: Path, tmp_path: Path
) -> None:
    model = make(kind, stride, 16)
    torch.save(lightning(model), tmp_path / "a.ckpt")
    order = Order(tmp_path / "a.ckpt", "mine", tmp_path, data=[photos])
    pack = store.load(import_checkpoint(order))
    assert pack.manifest.stride == stride
    indices, painted = as_taming(model, picture)
    assert np.abs(floats_of(pack, picture, 2) - painted).max() <= 1e-5
    data = vqcodec.encode(picture, tier=2, model=pack.path, device="cpu")
    decoded = vqcodec.decode_with_losses(data, model=pack.path, device="cpu")
    assert np.array_equal(decoded.indices, indices)


def test_halves_stay_halves(vqgan: VQModel, picture: np.ndarray, tmp_path: Path) -> None:
    state = {key: value.half() for key, value in vqgan.state_dict().items()}
    torch.save({"model": state}, tmp_path / "half.pt")
    pack = store.load(import_checkpoint(Order(tmp_path / "half.pt", "half", tmp_path)))
    # twice the codebook, and the smaller tiers, which k-means gives in float32
    n_weights = sum(v.numel() for k, v in state.items() if not k.startswith("loss."))
    assert pack.manifest.weights_size_bytes < 2 * n_weights + 60_000
    rounded = make()
    rounded.load_state_dict({key: value.float() for key, value in state.items()})
    assert np.abs(floats_of(pack, picture, HIGHEST) - as_taming(rounded, picture)[1]).max() <= 1e-5


@pytest.mark.parametrize("kind", [VQModel, GumbelVQ])
@pytest.mark.parametrize("size", [0.013, 70.0])
def test_latents_of_any_size_come_to_about_1(
    kind: type, size: float, picture: np.ndarray, tmp_path: Path
) -> None:
    model = make(kind)
    embedding = model.quantize.embed if kind is GumbelVQ else model.quantize.embedding
    with torch.no_grad():
        size = size / embedding.weight.square().mean().sqrt()
        scaled = [embedding.weight]
        scaled += [] if kind is GumbelVQ else [model.quant_conv.weight, model.quant_conv.bias]
        for weight in scaled:
            weight.mul_(size)
        model.post_quant_conv.weight.div_(size)
    torch.save(lightning(model), tmp_path / "a.ckpt")
    pack = store.load(import_checkpoint(Order(tmp_path / "a.ckpt", "mine", tmp_path)))
    words = torch.from_numpy(load(pack, device="cpu").codewords(HIGHEST))
    factor = pack.manifest.training["latents_times"]
    assert factor == (64 if size < 1 else 1 / 64)
    assert torch.equal(words, embedding.weight * factor)
    net = load(pack, device="cpu").net
    unscaled = copy.deepcopy(net)
    codes = words[torch.arange(24).view(1, 4, 6)].permute(0, 3, 1, 2)
    with torch.inference_mode():
        unscaled.post_quant_conv.weight.mul_(factor)
        assert torch.equal(net.decode(codes, HIGHEST), unscaled.decode(codes / factor, HIGHEST))
    indices, painted = as_taming(model, picture)
    assert np.array_equal(load(pack, device="cpu").to_indices(picture, HIGHEST), indices)
    assert np.abs(floats_of(pack, picture, HIGHEST) - painted).max() <= 1e-5


def test_halves_too_small_to_be_scaled_become_floats(
    vqgan: VQModel, picture: np.ndarray, tmp_path: Path
) -> None:
    state = {key: value.clone() for key, value in vqgan.state_dict().items()}
    for key in ("quantize.embedding.weight", "quant_conv.weight", "quant_conv.bias"):
        state[key] *= 2.0**-9
    state = {key: value.half() for key, value in state.items()}
    state["post_quant_conv.weight"] = (vqgan.post_quant_conv.weight * 2.0**-6).half()
    torch.save({"model": state}, tmp_path / "half.pt")
    pack = store.load(import_checkpoint(Order(tmp_path / "half.pt", "half", tmp_path)))
    with safe_open(pack.weights_path, framework="pt") as file:
        assert file.get_tensor("net.post_quant_conv.weight").dtype == torch.float32
        assert file.get_tensor("net.quant_conv.weight").dtype == torch.float16
    rounded = make()
    rounded.load_state_dict({key: value.float() for key, value in state.items()})
    indices, painted = as_taming(rounded, picture)
    assert np.array_equal(load(pack, device="cpu").to_indices(picture, HIGHEST), indices)
    assert np.abs(floats_of(pack, picture, HIGHEST) - painted).max() <= 1e-5


def test_a_name_that_is_taken_is_refused_before_work(pack: store.Pack, tmp_path: Path) -> None:
    before = pack.manifest
    order = Order(tmp_path / "none.ckpt", "mine", pack.path.parent)
    with pytest.raises(VqcError, match="--force"):
        import_checkpoint(order)
    assert store.load(pack.path).manifest == before


def test_a_replaced_pack_leaves_no_restorer(
    checkpoint: Path, tiny_restorer_pack: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_restorer_pack, tmp_path / "mine")
    assert (tmp_path / "mine" / store.RESTORER_NAME).exists()
    pack = store.load(import_checkpoint(Order(checkpoint, "mine", tmp_path, is_forced=True)))
    pack.check()
    assert pack.manifest.restorer is None
    assert {path.name for path in pack.path.iterdir()} == {
        *("CARD.md", "manifest.toml", "weights.safetensors")
    }
