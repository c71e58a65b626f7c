"""The released pack without torch: the same indices, and pixels within 2 levels of torch's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.images import sample_photo
from vqcodec.nets.load import Nets
from vqcodec.nets.load import load as load_torch
from vqcodec.nets.restoring import load_restorer as load_torch_restorer
from vqcodec.onnx.export import files_of
from vqcodec.onnx.load import OnnxNets, load
from vqcodec.onnx.restoring import load_restorer
from vqcodec.onnx.session import Session
from vqcodec.packs import store

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def pack() -> store.Pack:
    return store.load(store.find().path)


@pytest.fixture(scope="module")
def both(pack: store.Pack) -> tuple[Nets, OnnxNets]:
    return load_torch(pack, device="cpu"), load(pack, threads=1)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.ascontiguousarray(sample_photo()[100:308, 150:438])


def agreement(found: NDArray, wanted: NDArray) -> float:
    return float((np.abs(found.astype(int) - wanted) <= 2).mean())


@pytest.mark.parametrize("end", [0, -1])
def test_the_two_backends_agree(
    both: tuple[Nets, OnnxNets], pack: store.Pack, pixels: NDArray[np.uint8], end: int
) -> None:
    tier = pack.manifest.tiers[end].tier
    in_torch, in_onnx = both
    indices = in_torch.to_indices(pixels, tier)
    same = (in_onnx.to_indices(pixels, tier) == indices).mean()
    wanted = in_torch.to_pixels(indices, tier)
    share = agreement(in_onnx.to_pixels(indices, tier), wanted)
    files = files_of(pack)
    latent = in_torch.codewords(tier)[indices].transpose(2, 0, 1)[None]
    (painted,) = Session(files["decoder.onnx"], 1).run(
        latent=np.ascontiguousarray(latent), tier=np.array([tier], np.int32)
    )
    levels = np.rint((np.clip(painted[0], -1, 1) + 1) * 127.5).transpose(1, 2, 0)
    exported = agreement(levels, wanted)
    print(f"tier {tier}: indices {same:.4%}, pixels {share:.4%}, exported {exported:.4%}")
    assert same > 0.999
    assert share >= 0.999
    assert exported >= 0.999


def test_the_restorers_agree(
    both: tuple[Nets, OnnxNets], pack: store.Pack, pixels: NDArray[np.uint8]
) -> None:
    if pack.manifest.restorer is None:
        pytest.skip(f"{pack.name} has no restorer")
    in_torch, in_onnx = load_torch_restorer(pack, device="cpu"), load_restorer(pack, threads=1)
    for entry in (pack.manifest.tiers[0], pack.manifest.tiers[-1]):
        indices = both[0].to_indices(pixels, entry.tier)
        indices[np.random.default_rng(0).random(indices.shape) < 0.3] = -1
        one, other = (net.restore(indices, entry.tier) for net in (in_torch, in_onnx))
        assert (one.indices == other.indices).mean() > 0.999
        assert np.allclose(one.latents, other.latents, atol=1e-3)
        pictures = [both[1].from_latents(found.latents, entry.tier) for found in (one, other)]
        assert agreement(*pictures) >= 0.999
