"""FID and KID of patches against their closed formulas, on features that are easy to see."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from eval.metrics import sets
from eval.metrics.selfcheck import waves

pytest.importorskip("torchmetrics", reason="pip install torchmetrics")


class Moments(nn.Module):
    """Stands in for Inception: mean and deviation of each channel, in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.uint8
        self.batches.append(tuple(x.shape))
        samples = x.double().flatten(2) / 255
        return torch.cat([samples.mean(2), samples.std(2)], 1)


def noise(seed: int, height: int = 512, width: int = 768) -> NDArray[np.uint8]:
    """A picture whose 256-patches differ in mean and spread."""
    generator = np.random.RandomState(seed)
    level = generator.randint(60, 200, (height // 64, width // 64, 3))
    spread = generator.randint(1, 50, (height // 64, width // 64, 3))
    coarse = np.stack([level, spread]).repeat(64, 1).repeat(64, 2)
    grain = generator.standard_normal((height, width, 3))
    return np.clip(coarse[0] + coarse[1] * grain, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    originals = [noise(seed) for seed in range(4)]
    return [(picture, picture // 32 * 32 + 5) for picture in originals]


def features(whole: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    cut = np.stack([patch for picture in whole for patch in sets.patches(picture)])
    return Moments()(torch.from_numpy(cut).permute(0, 3, 1, 2)).numpy()


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [(512, 768, 8), (256, 256, 1), (255, 900, 0), (600, 700, 6), (384, 384, 2), (383, 384, 1)],
)
def test_patches_that_do_not_fit_are_dropped(height: int, width: int, count: int) -> None:
    assert len(list(sets.patches(waves(height, width)))) == count


def test_patches_lie_side_by_side_and_shifted_by_half() -> None:
    picture = noise(9, 576, 768)
    found = list(sets.patches(picture))
    corners = [(0, 0), (0, 256), (0, 512), (256, 0), (256, 256), (256, 512)]
    corners += [(128, 128), (128, 384)]
    for patch, (top, left) in zip(found, corners, strict=True):
        assert np.array_equal(patch, picture[top : top + 256, left : left + 256])


def test_fid_is_the_distance_of_two_gaussians(
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> None:
    found = sets.PatchDistances(Moments(), "moments")
    assert [found.update(*pair) for pair in pictures] == [8] * 4
    result = found.result()
    real, fake = (features([pair[n] for pair in pictures]) for n in (0, 1))
    first, second = np.cov(real.T), np.cov(fake.T)
    # tr sqrt(AB) = tr sqrt(sqrt(A) B sqrt(A)), which is symmetric.
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    mixed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    means = np.square(real.mean(0) - fake.mean(0)).sum()
    wanted = means + np.trace(first) + np.trace(second) - 2 * mixed
    assert wanted > 1e-4
    assert result["fid"] == pytest.approx(wanted, rel=1e-6)
    assert result["patches"] == 32
    assert result["kid"] is None
    assert result["kid_std"] is None
    (note,) = result["notes"]
    assert note == "no KID: 32 patches, its subsets have 1000: measure more or larger images"


def test_kid_is_the_unbiased_discrepancy_by_a_cubic_kernel(
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> None:
    # Subsets as large as the set: each holds all of it, in another order.
    found = sets.PatchDistances(Moments(), "moments", subsets=3, subset_size=32)
    for pair in pictures:
        found.update(*pair)
    result = found.result()
    real, fake = (features([pair[n] for pair in pictures]) for n in (0, 1))

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return (a @ b.T / 6 + 1) ** 3

    def within(a: NDArray[np.float64]) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (32 * 31))

    wanted = within(real) + within(fake) - 2 * kernel(real, fake).mean()
    assert abs(wanted) > 1e-5
    assert result["kid"] == pytest.approx(wanted, rel=1e-6)
    assert result["kid_std"] == pytest.approx(0, abs=1e-9)
    assert result["notes"] == []


def test_kid_draws_the_same_subsets_each_time_and_leaves_the_generator_alone(
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> None:
    found = sets.PatchDistances(Moments(), "moments", subsets=5, subset_size=10)
    for pair in pictures:
        found.update(*pair)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = found.result()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert found.result() == first
    assert first["kid_std"] > 0


def test_equal_sets_are_at_no_distance(
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> None:
    found = sets.PatchDistances(Moments(), "moments")
    for original, _ in pictures:
        found.update(original, original)
    fid = found.result()["fid"]
    assert 0 <= fid < 1e-6
    assert str(round(fid, 6)) == "0.0"  # not -0.0


def test_originals_are_looked_at_once_for_all_codecs(
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> None:
    network = Moments()
    found = sets.PatchDistances(network, "moments")
    (original, decoded), (other, _) = pictures[:2]
    found.update(original, decoded)
    assert network.batches == [(8, 3, 256, 256)] * 2
    first = found.result()
    found.reset()
    found.update(original.copy(), other)
    assert len(network.batches) == 3
    assert found.result()["fid"] != first["fid"]
    found.reset()
    found.update(original, decoded)
    assert found.result() == first


def test_too_few_patches_give_no_figure_but_a_reason() -> None:
    found = sets.PatchDistances(Moments(), "moments")
    assert found.update(waves(200, 300), waves(200, 300)) == 0
    result = found.result()
    assert result["fid"] is None
    assert result["patches"] == 0
    assert result["notes"][0] == "no FID: 0 patches of 256x256, it needs at least 2"
    for _ in range(3):
        found.update(waves(256, 256), waves(256, 256))
    assert "FID of 3 patches says little" in found.result()["notes"][0]
    assert "6 features" in found.result()["notes"][0]


def test_sets_refuse_what_is_no_pair_of_pictures() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        sets.PatchDistances(Moments(), "moments").update(waves(256, 256), waves(256, 257))


def test_only_the_known_inception_is_opened(tmp_path: Path) -> None:
    assert "--inception" in str(sets.load(None))
    assert "no such file" in str(sets.load(tmp_path / "none.pth"))
    other = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(3)}, other)
    remedy = sets.load(other)
    assert isinstance(remedy, str)
    assert "SHA-256 begins with" in remedy
    assert "6726825d" in remedy


def test_inception_resizes_as_published_figures_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def network(**options: object) -> nn.Module:
        asked.update(options)
        return Moments()

    known = tmp_path / "any.pth"
    known.write_bytes(b"weights")
    monkeypatch.setattr(sets, "SHA256", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(
        sys.modules, "torchmetrics.image.fid", SimpleNamespace(NoTrainInceptionV3=network)
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.2")
    found = sets.load(known)
    assert isinstance(found, sets.PatchDistances)
    assert "torch-fidelity 1.2" in found.source
    assert asked["antialias"] is False
    assert asked["features_list"] == ["2048"]
    assert asked["feature_extractor_weights_path"] == str(known)


def test_packages_that_are_missing_or_do_not_run_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)  # as if not installed
    assert "pip install torch-fidelity" in str(sets._load(tmp_path / "any.pth"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    remedy = str(sets._load(tmp_path / "any.pth"))
    assert "do not run here" in remedy
    assert "\n" not in remedy
