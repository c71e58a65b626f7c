"""The restorer fills gaps and nothing else, on maps of any size; broken ones are refused."""

from __future__ import annotations

import hashlib
import math
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load, load_file, save
from torch import Tensor

from vqcodec.errors import PackError
from vqcodec.nets import restoring
from vqcodec.nets.restorer import HEAD, WINDOW, Restorer, WindowAttention
from vqcodec.nets.restoring import LoadedRestorer, Restored, load_restorer
from vqcodec.packs import store
from vqcodec.packs.store import RESTORER_NAME
from vqcodec.tiles import cut
from vqcodec.training.pack_files import write_pack

TIER, SIZE = 3, 32


@pytest.fixture(scope="module")
def restorer(tiny_restorer_pack: Path) -> LoadedRestorer:
    return load_restorer(store.load(tiny_restorer_pack), device="cpu")


def gappy(height: int, width: int, share: float = 0.3, seed: int = 0) -> NDArray[np.int32]:
    random = np.random.default_rng(seed)
    indices = random.integers(0, SIZE, (height, width), np.int32)
    indices[random.random((height, width)) < share] = -1
    return indices


def check(restorer: LoadedRestorer, indices: NDArray[np.int32], found: Restored) -> None:
    """What holds for every map."""
    received = indices >= 0
    words = restorer.net.words[TIER].numpy()
    assert np.array_equal(found.indices[received], indices[received])
    assert np.array_equal(found.latents[received], words[indices[received]])
    assert (found.indices.shape, found.indices.dtype) == (indices.shape, np.int32)
    assert found.latents.shape == (*indices.shape, words.shape[1])
    assert np.isfinite(found.latents).all()
    assert 0 <= found.indices.min() <= found.indices.max() < SIZE
    bits = found.entropy_bits
    assert bits == 0 if received.all() else 0 < bits <= math.log2(SIZE)


@settings(max_examples=25)
@given(st.data())
def test_received_indices_stay_and_a_second_run_gives_the_same(restorer, data) -> None:
    height, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    share = data.draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    indices = gappy(height, width, share, data.draw(st.integers(0, 99)))
    before = indices.copy()
    found, again = restorer.restore(indices, TIER), restorer.restore(indices, TIER)
    assert np.array_equal(indices, before)
    check(restorer, indices, found)
    assert np.array_equal(found.indices, again.indices)
    assert np.array_equal(found.latents, again.latents)
    assert found.entropy_bits == again.entropy_bits


@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (37, 1), (7, 9), (8, 16), (97, 97)])
def test_maps_of_any_size_are_filled(restorer: LoadedRestorer, shape: tuple[int, int]) -> None:
    indices, done = gappy(*shape), []
    check(restorer, indices, restorer.restore(indices, TIER, lambda *n: done.append(n)))
    n_tiles = 4 if shape == (97, 97) else 1
    assert done == [(n, n_tiles) for n in range(1, n_tiles + 1)]


def test_one_received_index_is_enough(restorer: LoadedRestorer) -> None:
    indices = np.full((9, 12), -1, np.int32)
    indices[4, 5] = 7
    check(restorer, indices, restorer.restore(indices, TIER))


def test_tiles_answer_as_the_whole_map_does(
    restorer: LoadedRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = gappy(97, 100)
    tiled = restorer.restore(indices, TIER)
    assert len(cut(97, 100, restoring.HALO)) == 4
    monkeypatch.setattr(restoring.tiles, "cut", lambda h, w, halo: cut(h, w, halo, whole=h * w))
    whole = restorer.restore(indices, TIER)
    erased = indices < 0
    assert np.array_equal(tiled.indices[:30, :30], whole.indices[:30, :30]), "far from the cuts"
    # Windows lie where a tile begins, so that a few answers differ.
    assert (tiled.indices[erased] == whole.indices[erased]).mean() > 0.9


def test_what_stands_at_erased_places_is_not_looked_at(restorer: LoadedRestorer) -> None:
    random = torch.Generator().manual_seed(1)
    received = torch.rand(1, 11, 13, generator=random) < 0.5
    one = torch.randint(SIZE, (1, 11, 13), generator=random)
    other = torch.where(received, one, torch.randint(SIZE, (1, 11, 13), generator=random))
    with torch.inference_mode():
        assert torch.equal(restorer.net(one, received, TIER), restorer.net(other, received, TIER))


def test_every_received_index_near_a_gap_counts(restorer: LoadedRestorer) -> None:
    indices = np.zeros((6, 6), np.int32)
    indices[2, 2] = -1
    painted = restorer.restore(indices, TIER).latents[2, 2]
    for row, column in np.argwhere(indices >= 0):
        other = indices.copy()
        other[row, column] = 9
        assert not np.array_equal(restorer.restore(other, TIER).latents[2, 2], painted)


@pytest.mark.parametrize("shift", [0, WINDOW // 2])
def test_attention_is_within_windows_and_the_map(shift: int) -> None:
    torch.manual_seed(2)
    layer = WindowAttention(2 * HEAD, shift)
    torch.nn.init.normal_(layer.bias)
    height, width = 11, 5
    x = torch.randn(1, height, width, 2 * HEAD)
    rows, columns = (part.flatten() for part in np.indices((height, width)))
    window = (rows + shift) // WINDOW * 100 + (columns + shift) // WINDOW
    with torch.inference_mode():
        flat = x.view(-1, 2 * HEAD)
        q, k, v = layer.qkv(flat).view(-1, 3, 2, HEAD).permute(1, 2, 0, 3)  # (heads, n, HEAD)
        down = np.clip(rows[:, None] - rows, 1 - WINDOW, WINDOW - 1) + WINDOW - 1
        right = np.clip(columns[:, None] - columns, 1 - WINDOW, WINDOW - 1) + WINDOW - 1
        bias = layer.bias[:, torch.from_numpy(down * (2 * WINDOW - 1) + right)]
        scores = q @ k.transpose(1, 2) / math.sqrt(HEAD) + bias
        scores[:, torch.from_numpy(window[:, None] != window)] = -torch.inf
        wanted = layer.out((scores.softmax(2) @ v).transpose(0, 1).reshape(-1, 2 * HEAD))
        assert torch.allclose(layer(x).reshape(-1, 2 * HEAD), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("indices", "tier", "word"),
    [
        (np.zeros((2, 2), np.int32), 10, "tier 10"),
        (np.full((2, 2), -2, np.int32), TIER, "-1 or more"),
        (np.zeros((0, 2), np.int32), TIER, "array"),
        (np.zeros(4, np.int32), TIER, "array"),
        (np.full((2, 2), SIZE, np.int32), TIER, "below 32"),
    ],
)
def test_wrong_maps_are_the_callers_mistake(
    restorer: LoadedRestorer, indices: NDArray[np.int32], tier: int, word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        restorer.restore(indices, tier)


def test_the_network_is_what_the_pack_stores(
    restorer: LoadedRestorer, tiny_restorer_pack: Path
) -> None:
    stored = load_file(tiny_restorer_pack / RESTORER_NAME)
    key = "blocks.0.rise.weight"
    wanted = stored[f"{key}.q"].float() * stored[f"{key}.scale"].float()[:, None]
    assert torch.equal(restorer.net.state_dict()[key], wanted)
    assert torch.equal(restorer.net.paint.weight, stored["paint.weight"].float())


def _put(key: str, change: Callable[[Tensor], Tensor]) -> Callable[[bytes], bytes]:
    def changed(blob: bytes) -> bytes:
        tensors = load(blob)
        return save({**tensors, key: change(tensors[key]).contiguous()})

    return changed


def broken(
    tiny_restorer_pack: Path, folder: Path, change: Callable[[bytes], bytes], **config: Any
) -> store.Pack:
    """A copy of the pack whose restorer is another, and whose manifest says so."""
    shutil.copytree(tiny_restorer_pack, folder)
    blob = change((folder / RESTORER_NAME).read_bytes())
    manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
    entry = manifest["restorer"]
    entry |= {"sha256": hashlib.sha256(blob).hexdigest(), "size_bytes": len(blob)}
    entry["config"] |= config
    write_pack(folder, {RESTORER_NAME: blob}, manifest)
    return store.load(folder)


def same(blob: bytes) -> bytes:
    return blob


@pytest.mark.parametrize(
    ("change", "config", "word"),
    [
        (lambda blob: blob[:-1], {}, "not a readable safetensors file"),
        (lambda blob: blob[:100], {}, "not a readable safetensors file"),
        (lambda _: b"", {}, "not a readable safetensors file"),
        (_put("stem.bias", lambda v: v[:-1]), {}, "stem.bias has shape"),
        (_put("stem.bias", lambda v: v * torch.nan), {}, "stem.bias holds values"),
        (_put("stem.bias", lambda v: v.int()), {}, "stem.bias is torch.int32"),
        (_put("stem.bias", lambda v: v[0]), {}, "stem.bias has shape"),
        (_put("blocks.0.rise.weight.scale", lambda v: v * torch.inf), {}, "finite"),
        (_put("blocks.0.rise.weight.scale", lambda v: v[:-1]), {}, "scale has shape"),
        (lambda blob: save({"more": torch.zeros(1), **load(blob)}), {}, "more is unknown"),
        (lambda _: save({"more": torch.zeros(1)}), {}, "is missing"),
        (same, {"width": 64}, "has shape"),
        (same, {"blocks": 3}, "blocks.2.attention.bias is missing"),
        (same, {"learned": 9}, "has shape"),
        (same, {"width": 33}, "width 33 is no multiple of 32"),
        (same, {"width": 0}, "width is 0, not a number from 1 to 1024"),
        (same, {"width": 32.0}, "width is 32.0"),
        (same, {"blocks": -1}, "blocks is -1"),
        (same, {"blocks": 10**9}, "blocks is 1000000000"),
        (same, {"learned": True}, "learned is True"),
        (same, {"learned": "8"}, "learned is '8'"),
    ],
)
def test_broken_restorers_are_refused(
    tiny_restorer_pack: Path,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    config: dict[str, Any],
    word: str,
) -> None:
    pack = broken(tiny_restorer_pack, tmp_path / "pack", change, **config)
    with pytest.raises(PackError, match=word) as told:
        load_restorer(pack, device="cpu")
    assert str(pack.path) in told.value.message


def test_a_pack_without_one_says_so(tiny_pack: Path) -> None:
    with pytest.raises(PackError, match="has no restorer"):
        load_restorer(store.load(tiny_pack), device="cpu")


def test_untrained_it_paints_the_expected_word() -> None:
    torch.manual_seed(0)
    net = Restorer({TIER: torch.randn(SIZE, 4)}, HEAD, 1, 3)
    features = torch.randn(5, HEAD)
    logits = net.logits(features, TIER)
    assert logits.shape == (5, SIZE)
    wanted = logits.softmax(1) @ net.words[TIER]
    assert torch.equal(net.latents(features, logits, TIER), wanted)
