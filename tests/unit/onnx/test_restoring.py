"""The restorer without torch gives torch's answers; what was received stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vqcodec.errors import BackendError, PackError
from vqcodec.nets.restoring import LoadedRestorer
from vqcodec.nets.restoring import load_restorer as load_torch
from vqcodec.onnx import restorer as graphs
from vqcodec.onnx.restoring import OnnxRestorer, load_restorer
from vqcodec.packs import store

TIER, SIZE = 3, 32


@pytest.fixture(scope="module")
def in_torch(tiny_restorer_pack: Path) -> LoadedRestorer:
    return load_torch(store.load(tiny_restorer_pack), device="cpu")


@pytest.fixture(scope="module")
def in_onnx(tiny_restorer_pack: Path) -> OnnxRestorer:
    return load_restorer(store.load(tiny_restorer_pack), threads=1)


def gappy(height: int, width: int, share: float = 0.3, size: int = SIZE) -> NDArray[np.int32]:
    random = np.random.default_rng(height * 100 + width)
    indices = random.integers(0, size, (height, width), np.int32)
    indices[random.random((height, width)) < share] = -1
    return indices


def check(found: object, wanted: object, indices: NDArray[np.int32]) -> None:
    received = indices >= 0
    assert np.array_equal(found.indices[received], indices[received])
    assert np.array_equal(found.latents[received], wanted.latents[received])
    assert (found.indices == wanted.indices).mean() > 0.99
    assert np.allclose(found.latents, wanted.latents, atol=1e-4)
    assert found.entropy_bits == pytest.approx(wanted.entropy_bits, rel=1e-4)
    assert found.indices.dtype == np.int32
    assert found.latents.dtype == np.float32


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 37), (37, 1), (4, 4), (7, 9), (8, 16), (12, 20), (23, 5)]
)
def test_it_answers_as_torch_does(
    in_torch: LoadedRestorer, in_onnx: OnnxRestorer, shape: tuple[int, int]
) -> None:
    for share in (0.3, 1.0):
        indices = gappy(*shape, share)
        before = indices.copy()
        found = in_onnx.restore(indices, TIER)
        check(found, in_torch.restore(indices, TIER), indices)
        assert np.array_equal(indices, before)


@pytest.mark.parametrize("tier", [1, 9])
def test_every_tier_has_its_own_words(
    in_torch: LoadedRestorer, in_onnx: OnnxRestorer, tier: int
) -> None:
    indices = gappy(9, 11, size=8)
    check(in_onnx.restore(indices, tier), in_torch.restore(indices, tier), indices)


def test_tiles_and_parts_agree_too(
    in_torch: LoadedRestorer, in_onnx: OnnxRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = gappy(97, 97)
    wanted, done = in_torch.restore(indices, TIER), []
    check(in_onnx.restore(indices, TIER, lambda *n: done.append(n)), wanted, indices)
    assert done == [(n, 4) for n in range(1, 5)]
    monkeypatch.setattr(graphs, "places_at_once", lambda _: 200)
    check(in_onnx.restore(indices, TIER), wanted, indices)


def test_nothing_lost_is_nothing_changed(in_onnx: OnnxRestorer) -> None:
    indices = gappy(6, 7, share=0.0)
    found = in_onnx.restore(indices, TIER)
    assert np.array_equal(found.indices, indices)
    assert found.entropy_bits == 0


@pytest.mark.parametrize(
    ("indices", "tier", "word"),
    [
        (np.zeros((2, 2), np.int32), 10, "tier 10"),
        (np.full((2, 2), -2, np.int32), TIER, "-1 or more"),
        (np.zeros((0, 2), np.int32), TIER, "array"),
        (np.full((2, 2), SIZE, np.int32), TIER, "below 32"),
    ],
)
def test_wrong_maps_are_the_callers_mistake(
    in_onnx: OnnxRestorer, indices: NDArray[np.int32], tier: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        in_onnx.restore(indices, tier)


def test_a_pack_without_one_says_so(tiny_pack: Path, tiny_restorer_pack: Path) -> None:
    with pytest.raises(PackError, match="has no restorer"):
        load_restorer(store.load(tiny_pack))
    with pytest.raises(BackendError, match="runs on the CPU"):
        load_restorer(store.load(tiny_restorer_pack), device="cuda")


def test_a_broken_one_names_its_file(tiny_restorer_pack: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_restorer_pack, tmp_path / "pack")
    manifest = tmp_path / "pack" / "manifest.toml"
    text = manifest.read_text(encoding="utf-8").replace("blocks = 2", "blocks = 3")
    manifest.write_text(text, encoding="utf-8")
    with pytest.raises(PackError, match=r"restorer\.safetensors: weights: blocks\.2.* is missing"):
        load_restorer(store.load(tmp_path / "pack"))
