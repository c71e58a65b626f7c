"""Tiles cover the grid once and agree with the whole image."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vqcodec import tiles
from vqcodec.nets.load import Nets, load
from vqcodec.packs import store


def _psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.square(a.astype(float) - b).mean())))


def _random_image(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth shapes and noise, seeded."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = [127 + 90 * np.sin(x / a + y / b) for a, b in ((31, 47), (77, 19), (11, 140))]
    return (
        (np.stack(waves, 2) + random.normal(0, 9, (height, width, 3))).clip(0, 255).astype(np.uint8)
    )


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 9), st.integers(1, 20))
def test_cores_cover_every_position_once(h: int, w: int, halo: int, core: int) -> None:
    seen = np.zeros((h, w), int)
    for tile in tiles.cut(h, w, halo, core=core, whole=0):
        seen[tile.core] += 1
        frame = np.arange(h * w).reshape(h, w)
        assert np.array_equal(frame[tile.frame][tile.inner], frame[tile.core])
        assert all(s.stop - s.start <= core for s in tile.core)
        for s, outer, size in zip(tile.core, tile.frame, (h, w), strict=True):
            assert outer.start == max(0, s.start - halo)
            assert outer.stop == min(size, s.stop + halo)
    assert (seen == 1).all()


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 20))
def test_a_sample_reaches_from_edge_to_edge(h: int, w: int, side: int) -> None:
    windows = tiles.sample(h, w, side)
    rows, columns = [row[0][0] for row in windows], [column for _, column in windows[0]]
    for spans, size in ((rows, h), (columns, w)):
        lengths = {span.stop - span.start for span in spans}
        assert (spans[0].start, spans[-1].stop, len(lengths)) == (0, size, 1)
        assert sum(span.stop - span.start for span in spans) <= max(side, tiles.PARTS)


def test_small_grids_are_not_cut() -> None:
    assert len(tiles.cut(32, 48, 16)) == 1
    assert len(tiles.cut(96, 128, 16)) == 4


def test_tiles_agree_with_the_whole_image(tiny: Nets, monkeypatch: pytest.MonkeyPatch) -> None:
    image = _random_image(1536, 2048)
    assert len(tiles.cut(96, 128, tiny.net.decoder_halo)) == 4
    done: list[tuple[int, int]] = []
    indices = tiny.to_indices(image, 9, progress=lambda n, total: done.append((n, total)))
    pixels = tiny.to_pixels(indices, 9)
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    monkeypatch.setattr(tiny.net, "whole", 96 * 128)
    whole = tiny.to_indices(image, 9)
    # The halo is the net's full reach; only the rounding of float32 may flip a near tie.
    assert (indices == whole).mean() > 0.9999
    assert _psnr(pixels, tiny.to_pixels(indices, 9)) >= 70


def test_memory_is_handed_back_between_tiles_only(
    tiny: Nets, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(tiles, "_trimmer", lambda: calls.append)
    tiny.to_pixels(np.zeros((2, 3), np.int32), 1)
    assert not calls
    monkeypatch.setattr(tiny.net, "core", 1)
    monkeypatch.setattr(tiny.net, "whole", 0)
    tiny.to_pixels(np.zeros((2, 3), np.int32), 1)
    assert calls == [0] * 6


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_memory_can_be_handed_back() -> None:
    trim = tiles._trimmer()
    assert trim is not None
    assert trim(0) in (0, 1)


@pytest.mark.real
def test_the_released_net_agrees_to_50_db(
    root: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    if not (root / "models" / "photo-3" / "weights.safetensors").exists():
        pytest.skip("models/photo-3 is not in this checkout")
    nets = load(store.find(root / "models" / "photo-3"), device="cpu")
    source = sorted((shared_data / "clic").glob("*.webp"))[0]
    with Image.open(source) as photo:
        image = np.asarray(photo.convert("RGB").resize((2048, 1536)))
    indices = nets.to_indices(image, 8)
    pixels = nets.to_pixels(indices, 8)
    monkeypatch.setattr(nets.net, "whole", 96 * 128)
    assert (nets.to_indices(image, 8) == indices).mean() > 0.9999
    assert _psnr(pixels, nets.to_pixels(indices, 8)) >= 50


@pytest.mark.parametrize("which", ["encode", "decode"])
def test_no_value_travels_further_than_the_halo(tiny: Nets, which: str) -> None:
    """Change one position and see how far the change is felt."""
    net = tiny.net
    size = 2 * max(net.encoder_halo, net.decoder_halo) + 3
    here = size // 2
    with torch.inference_mode():
        if which == "encode":
            grid = torch.zeros(1, 3, size * 16, size * 16)
            changed = grid.clone()
            changed[:, :, here * 16 : here * 16 + 16, here * 16 : here * 16 + 16] = 1
            felt = (net.encoder(grid, 5) != net.encoder(changed, 5)).any(1)[0]
            halo = net.encoder_halo
        else:
            grid = torch.zeros(1, net.latent_dim, size, size)
            changed = grid.clone()
            changed[:, :, here, here] = 1
            felt = (net.decode(grid, 5) != net.decode(changed, 5)).any(1)[0]
            felt = felt.view(size, 16, size, 16).any(3).any(1)
            halo = net.decoder_halo
    rows, columns = felt.nonzero(as_tuple=True)
    reach = int(torch.stack([(rows - here).abs(), (columns - here).abs()]).max())
    assert 0 < reach <= halo
