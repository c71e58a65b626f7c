"""From a pack to `Nets`: the round trip, and the ways in which a pack or a machine can be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from vqcodec.errors import BackendError, PackError
from vqcodec.nets.load import Nets, load, to_uint8
from vqcodec.packs import store

Maker = Callable[[Callable[[dict[str, Tensor]], None]], store.Pack]


def test_pixels_to_indices_to_pixels(tiny: Nets) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    for tier, size in ((1, 8), (9, 2048)):
        indices = tiny.to_indices(pixels, tier)
        assert indices.shape == (3, 5)
        assert indices.dtype == np.int32
        assert 0 <= indices.min() <= indices.max() < size
        decoded = tiny.to_pixels(indices, tier)
        assert decoded.shape == pixels.shape
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, tiny.to_pixels(indices, tier))


def test_the_nets_use_what_the_pack_stores(tiny: Nets, tiny_pack: Path) -> None:
    stored = load_file(tiny_pack / "weights.safetensors")
    key = next(key for key in stored if key.endswith(".q"))
    name = key.removeprefix("net.").removesuffix(".q")
    scale = stored[f"net.{name}.scale"].float().view(-1, 1, 1, 1)
    assert torch.equal(tiny.net.state_dict()[name], stored[key].float() * scale)
    assert torch.equal(tiny.codebooks[4], stored["tier.4.codewords"].float())


def test_rounding_is_half_to_even_and_clamped() -> None:
    image = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0]).view(1, 1, 5).expand(3, 1, 5)
    assert to_uint8(image)[0, :, 0].tolist() == [0, 0, 128, 255, 255]  # 0 stands at 127.5


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((16, 20, 3), np.uint8),
        ((16, 16), np.uint8),
        ((16, 16, 3), np.int64),
        ((0, 16, 3), np.uint8),
    ],
)
def test_wrong_pixels_are_the_callers_mistake(
    tiny: Nets, shape: tuple[int, ...], dtype: type
) -> None:
    with pytest.raises(ValueError, match="pixels"):
        tiny.to_indices(np.zeros(shape, dtype), 1)


@pytest.mark.parametrize("values", [[[8]], [[-1]], [[0.5]], [0], [[]]])
def test_wrong_indices_are_the_callers_mistake(tiny: Nets, values: list[object]) -> None:
    with pytest.raises(ValueError, match="indices"):
        tiny.to_pixels(np.array(values), 1)
    with pytest.raises(ValueError, match="tier"):
        tiny.to_pixels(np.array([[0]]), 10)


def _drop(key: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__delitem__(key)


def _put(key: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.update({key: change(tensors[key]).contiguous()})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_drop("net.encoder.stem.bias"), "net.encoder.stem.bias is missing"),
        (lambda t: t.update({"net.extra": torch.zeros(1)}), "net.extra is unknown"),
        (_put("net.encoder.stem.bias", lambda v: v[:-1]), "shape"),
        (_put("net.encoder.stem.bias", lambda v: v * torch.nan), "finite"),
        (_drop("tier.3.codewords"), "tier.3.codewords is missing"),
        (_put("tier.3.codewords", lambda v: v[:-1]), "shape"),
        (_put("tier.3.codewords", lambda v: v * torch.inf), "finite"),
        (_put("tier.3.codewords", lambda v: v.int()), "floats"),
        (_drop("net.decoder.up8.weight.scale"), "scale"),
    ],
)
def test_broken_packs_are_refused(
    changed_pack: Maker, change: Callable[[dict[str, Tensor]], None], word: str
) -> None:
    with pytest.raises(PackError, match=word):
        load(changed_pack(change), device="cpu")


def test_a_net_that_does_not_know_the_packs_tiers_is_refused(
    tiny_pack: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_pack, tmp_path / "pack")
    manifest = tmp_path / "pack" / "manifest.toml"
    text = manifest.read_text(encoding="utf-8").replace("[net.config]", "[net.config]\nn_tiers = 8")
    manifest.write_text(text, encoding="utf-8")
    with pytest.raises(PackError, match="tier 9, and the net tells 8 apart"):
        load(store.find(tmp_path / "pack"), device="cpu")


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x80" + b"\0" * 20])
def test_weights_that_are_no_safetensors_file_are_refused(
    tiny_pack: Path, tmp_path: Path, data: bytes
) -> None:
    folder = tmp_path / "pack"
    shutil.copytree(tiny_pack, folder)
    (folder / "weights.safetensors").write_bytes(data)
    with pytest.raises(PackError, match=r"weights\.safetensors"):
        load(store.find(folder))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(PackError, match="missing"):
        load(store.find(folder))


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "meta", "cpu:x"])
def test_a_device_that_is_not_here_is_told(tiny_pack: Path, device: str) -> None:
    with pytest.raises(BackendError, match="device"):
        load(store.find(tiny_pack), device=device)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: tried")]
)
def test_out_of_memory_is_told(
    tiny: Nets, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(tiny.net, "decode", fail)
    with pytest.raises(BackendError, match="out of memory"):
        tiny.to_pixels(np.array([[0]]), 1)
