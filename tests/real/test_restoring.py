"""A released pack's restorer: what was received stays, the rest comes closer to what was there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import vqcodec
from eval.images import sample_photo
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.packs import store
from vqcodec.painting import load_nets, paint

LOST = (2, 7, 11, 18)  # of 20 packets

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def shipped_models_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VQCODEC_MODELS", raising=False)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pack() -> store.Pack:
    found = store.find()
    if found.manifest.restorer is None:
        pytest.skip(f"{found.name} has no restorer")
    return found


@pytest.fixture(scope="module")
def whole(pack: store.Pack) -> bytes:
    pixels = np.ascontiguousarray(sample_photo()[100:292, 150:438])
    return vqcodec.encode(pixels, model=pack.path, n_packets=20, device="cpu")


def _decoded(data: bytes, pack: store.Pack, restorer: str | None = None) -> vqcodec.Decoded:
    return vqcodec.decode_with_losses(data, model=pack.path, restorer=restorer, device="cpu")


def _left(whole: bytes) -> bytes:
    kept = [packet for packet in container.parse(whole).packets if packet.index not in LOST]
    return MAGIC + b"".join(whole[p.offset : p.offset + p.size_bytes] for p in kept)


def _psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


def test_the_restorer_is_whole(pack: store.Pack) -> None:
    pack.check_restorer()
    assert pack.restorer_path.stat().st_size <= 5 * 2**20


def test_a_photo_with_losses_is_restored(whole: bytes, pack: store.Pack) -> None:
    true, found = _decoded(whole, pack), _decoded(_left(whole), pack)
    assert found.restorer == "transformer"
    assert found.losses.missing == LOST
    received = ~found.erased
    assert 0.15 < found.erased.mean() < 0.25
    assert np.array_equal(found.indices[received], true.indices[received])
    assert found.entropy_bits is not None
    assert 0 < found.entropy_bits < np.log2(true.header.codebook_size)
    psnr_db = {
        kind: _psnr(_decoded(_left(whole), pack, kind).pixels, true.pixels)
        for kind in ("none", "neighbour")
    }
    restored_db = _psnr(found.pixels, true.pixels)
    assert restored_db > psnr_db["none"] + 1
    assert restored_db > max(psnr_db.values())
    # More indices than the most frequent one would be are told right.
    right = found.indices[found.erased] == true.indices[found.erased]
    frequent = pack.frequencies(true.header.tier).argmax() == true.indices[found.erased]
    assert right.mean() > frequent.mean()


def test_a_picture_changes_only_near_what_was_lost(whole: bytes, pack: store.Pack) -> None:
    true = _decoded(whole, pack)
    wide = np.tile(true.indices, (1, 2))  # so wide that the decoder does not reach everywhere
    gone = wide.copy()
    gone[3:6, 1:3] = -1
    rest = {"restorer": None, "device": "cpu", "threads": None, "progress": None}
    before, after = (paint(each, pack, true.header.tier, **rest).pixels for each in (wide, gone))
    reach = load_nets(pack, "cpu", None).net.decoder_halo
    stride = pack.manifest.stride
    far = stride * (3 + reach)
    assert far < before.shape[1] - 8 * stride
    error = np.abs(before[:, far:].astype(int) - after[:, far:])
    assert error.max() <= 2, "the halo is where the decoder hardly reaches"
    assert (error == 0).mean() > 0.99
    near = np.s_[3 * stride : 6 * stride, stride : 3 * stride]
    assert not np.array_equal(before[near], after[near])
