"""onnxruntime gives what torch gives, at any size and in tiles; broken packs are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from vqcodec.errors import BackendError, PackError
from vqcodec.nets.load import Nets
from vqcodec.onnx import light
from vqcodec.onnx.load import OnnxNets, load, to_uint8
from vqcodec.onnx.stored import read_weights
from vqcodec.packs import store
from vqcodec.packs.networks import LightPlan

Change = Callable[[dict[str, NDArray]], None]


def noise(height: int, width: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(height * 1000 + width)
    small = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return small.repeat(8, 0).repeat(8, 1)


def agree(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> bool:
    """Within 2 levels on 99.9 % of the values."""
    return float((np.abs(found.astype(int) - wanted) <= 2).mean()) >= 0.999


@pytest.mark.parametrize("tier", [1, 4, 9])
@pytest.mark.parametrize("size", [(16, 16), (16, 112), (80, 48), (208, 144)])
def test_the_two_backends_agree(
    in_torch: Nets, in_onnx: OnnxNets, size: tuple[int, int], tier: int
) -> None:
    pixels = noise(*size)
    latents = in_onnx.to_latents(pixels, tier)
    assert np.allclose(latents, in_torch.to_latents(pixels, tier), atol=1e-4)
    indices = in_onnx.to_indices(pixels, tier)
    assert (indices == in_torch.to_indices(pixels, tier)).mean() > 0.999
    assert (indices.dtype, indices.shape) == (np.int32, (size[0] // 16, size[1] // 16))
    decoded = in_onnx.to_pixels(indices, tier)
    assert (decoded.dtype, decoded.shape) == (np.uint8, pixels.shape)
    assert agree(decoded, in_torch.to_pixels(indices, tier))
    assert agree(in_onnx.from_latents(latents, tier), in_torch.from_latents(latents, tier))
    assert np.array_equal(in_onnx.codewords(tier), in_torch.codewords(tier))


def test_tiers_have_rows_of_their_own(in_onnx: OnnxNets) -> None:
    latents = in_onnx.to_latents(noise(48, 48), 1)
    pictures = [in_onnx.from_latents(latents, tier) for tier in (1, 2, 9)]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_tiles_agree_too(
    in_torch: Nets, in_onnx: OnnxNets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for nets in (in_torch.net, in_onnx):
        monkeypatch.setattr(nets, "whole", 100, raising=False)
        monkeypatch.setattr(nets, "core", 7, raising=False)
    pixels, done = noise(15 * 16, 12 * 16), []
    indices = in_onnx.to_indices(pixels, 5, lambda *n: done.append(n))
    assert done == [(n, 6) for n in range(1, 7)]
    assert (indices == in_torch.to_indices(pixels, 5)).mean() > 0.99
    assert agree(in_onnx.to_pixels(indices, 5), in_torch.to_pixels(indices, 5))
    monkeypatch.setattr(in_onnx, "whole", 10_000)
    whole = in_onnx.to_pixels(indices, 5)
    assert agree(in_onnx.to_pixels(indices, 5), whole)


def test_wide_layers_agree_as_winograd(tiny_pack: Path) -> None:
    # The tiny pack's layers are narrower than those that an export writes so.
    plan = LightPlan(4, (64, 8, 16), (1, 0, 0), (8, 8, 64, 128), (0, 0, 1, 1), 9)
    random = np.random.default_rng(5)
    tensors = _weights(plan, random)
    latent = random.standard_normal((1, 4, 3, 5)).astype(np.float32)
    inputs = {"latent": latent, "tier": np.array([3], np.int32)}
    images = []
    for with_winograd in (False, True):
        model = light.decoder(plan, tensors, with_winograd=with_winograd)
        onnx.checker.check_model(model, full_check=True)
        images.append(light_run(model, inputs))
    kinds = [node.op_type for node in onnx.load_from_string(model).graph.node]
    assert kinds.count("Tile") == 6, "three layers, two transforms each"
    assert np.allclose(*images, atol=1e-3)


def light_run(model: bytes, inputs: dict[str, NDArray]) -> NDArray:
    from vqcodec.onnx.session import Session

    (out,) = Session(model, 1).run(**inputs)
    return out


def _weights(plan: LightPlan, random: np.random.Generator) -> dict[str, NDArray]:
    """Small random weights of a decoder of such a plan."""
    import torch

    from vqcodec.nets.light import LightVqgan

    with torch.device("meta"):
        net = LightVqgan(
            plan.latent_dim,
            plan.encoder_channels,
            plan.encoder_blocks,
            plan.decoder_channels,
            plan.decoder_blocks,
            plan.n_tiers,
        )
    return {
        f"net.{key}": (random.standard_normal(tuple(value.shape)) * 0.05).astype(np.float16)
        for key, value in net.state_dict().items()
    }


def test_rounding_is_half_to_even_and_clamped() -> None:
    image = np.broadcast_to(np.array([-9, -1, 0, 1, 9], np.float32), (3, 1, 5))
    assert to_uint8(image)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((16, 20, 3), np.uint8), ((16, 16), np.uint8), ((16, 16, 3), int), ((0, 16, 3), np.uint8)],
)
def test_wrong_pixels_are_the_callers_mistake(
    in_onnx: OnnxNets, shape: tuple[int, ...], dtype: type
) -> None:
    with pytest.raises(ValueError, match="pixels"):
        in_onnx.to_indices(np.zeros(shape, dtype), 1)


@pytest.mark.parametrize("values", [[[8]], [[-1]], [[0.5]], [0], [[]]])
def test_wrong_indices_are_the_callers_mistake(in_onnx: OnnxNets, values: list[object]) -> None:
    with pytest.raises(ValueError, match="indices"):
        in_onnx.to_pixels(np.array(values), 1)
    with pytest.raises(ValueError, match="tier"):
        in_onnx.to_pixels(np.array([[0]]), 10)
    with pytest.raises(ValueError, match="latents"):
        in_onnx.from_latents(np.zeros((2, 2, 3), np.float32), 1)


@pytest.fixture
def changed_pack(tiny_pack: Path, tmp_path: Path) -> Callable[[Change], store.Pack]:
    """A copy of the tiny pack whose tensors a function has changed."""

    def make(change: Change) -> store.Pack:
        folder = tmp_path / "pack"
        shutil.copytree(tiny_pack, folder)
        tensors = load_file(folder / "weights.safetensors")
        change(tensors)
        save_file(tensors, folder / "weights.safetensors")
        return store.load(folder)

    return make


def _put(key: str, change: Callable[[NDArray], NDArray]) -> Change:
    return lambda tensors: tensors.update({key: np.ascontiguousarray(change(tensors[key]))})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t.__delitem__("net.encoder.stem.bias"), "net.encoder.stem.bias is missing"),
        (lambda t: t.update({"net.encoder.x": np.zeros(1, np.float16)}), "encoder.x is unknown"),
        (lambda t: t.update({"net.x": np.zeros(1, np.float16)}), "net.x is unknown"),
        (_put("net.encoder.stem.bias", lambda v: v[:-1]), "shape"),
        (_put("net.decoder.stem.bias", lambda v: v * np.float16(np.nan)), "finite"),
        (lambda t: t.__delitem__("tier.3.codewords"), "tier.3.codewords is missing"),
        (_put("tier.3.codewords", lambda v: v[:-1]), "shape"),
        (_put("tier.3.codewords", lambda v: v.astype(np.int32)), "floats"),
    ],
)
def test_broken_packs_are_refused(
    changed_pack: Callable[[Change], store.Pack], change: Change, word: str
) -> None:
    pack = changed_pack(change)
    with pytest.raises(PackError, match=word):
        load(pack).to_pixels(load(pack).to_indices(noise(16, 16), 1), 1)


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x80" + b"\0" * 20])
def test_weights_that_are_no_safetensors_file_are_refused(
    tiny_pack: Path, tmp_path: Path, data: bytes
) -> None:
    folder = tmp_path / "pack"
    shutil.copytree(tiny_pack, folder)
    (folder / "weights.safetensors").write_bytes(data)
    with pytest.raises(PackError, match=r"weights\.safetensors"):
        read_weights(folder / "weights.safetensors")
    (folder / "weights.safetensors").unlink()
    with pytest.raises(PackError, match="missing"):
        read_weights(folder / "weights.safetensors")


def renamed(tiny_pack: Path, folder: Path, old: str, new: str) -> store.Pack:
    shutil.copytree(tiny_pack, folder)
    manifest = folder / "manifest.toml"
    text = manifest.read_text(encoding="utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new), encoding="utf-8")
    return store.load(folder)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('kind = "light"', 'kind = "taming"', "has the unknown key"),
        ('kind = "light"', 'kind = "dark"', "net.kind is 'dark'"),
        ("stride = 16", "stride = 8", "stride 8, the net has 16"),
        ("[net.config]", "[net.config]\nn_tiers = 8", "tier 9, and the net tells 8"),
        ("latent_dim = 4", "latent_dim = 0", "latent_dim is 0"),
    ],
)
def test_networks_that_are_not_for_it_are_refused(
    tiny_pack: Path, tmp_path: Path, old: str, new: str, word: str
) -> None:
    with pytest.raises(PackError, match=word):
        load(renamed(tiny_pack, tmp_path / "pack", old, new))


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tpu", "cpu:x"])
def test_it_runs_on_the_cpu(tiny_pack: Path, device: str) -> None:
    with pytest.raises(BackendError, match="device"):
        load(store.load(tiny_pack), device=device)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Failed to allocate memory for x")])
def test_out_of_memory_is_told(
    in_onnx: OnnxNets, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Full:
        def run(self, *_: object) -> None:
            raise error

    in_onnx.to_pixels(np.array([[0]]), 1)
    monkeypatch.setattr(in_onnx._decoder, "_session", Full())
    with pytest.raises(BackendError, match="out of memory"):
        in_onnx.to_pixels(np.array([[0]]), 1)
