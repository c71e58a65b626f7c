"""LPIPS on VGG-16 and DISTS against their packages, on a VGG-16 made by formula.

Figures are from lpips 0.1.4 and DISTS-pytorch 0.1, computed outside this project with the same
weights in their own networks and the packages' own heads, alpha and beta.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eval import metrics
from eval.metrics import pictures
from eval.metrics.selfcheck import pairs, waves
from eval.metrics.weights import package_file

# By metric: the two pairs of the self-check, then 75x101 pixels.
FIGURES = {
    "lpips_vgg": (0.1074145, 0.0012915, 0.0922956),
    "dists": (0.1516976, 0.0005122, 0.1468594),
}


def formula_vgg() -> dict[str, torch.Tensor]:
    """VGG-16's convolutions by torchvision's keys, from a generator that NumPy keeps as it is."""
    generator = np.random.RandomState(20040)
    tensors = {}
    channels, number = 3, 0
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            kernels = generator.standard_normal((width, channels, 3, 3))
            bias = generator.standard_normal(width) * 0.05
            for key, values in (("weight", kernels * np.sqrt(2 / (9 * channels))), ("bias", bias)):
                tensors[f"features.{number}.{key}"] = torch.from_numpy(values.astype(np.float32))
            channels, number = width, number + 2
        number += 1
    return tensors


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, metrics.Metric]:
    if not (
        package_file("lpips", "lpips", "weights/v0.1/vgg.pth")
        and package_file("DISTS_pytorch", "DISTS-pytorch", "weights.pt")
    ):
        pytest.skip("lpips or DISTS-pytorch is not installed: pip install --no-deps them")
    folder = tmp_path_factory.mktemp("vgg")
    save_file(formula_vgg(), folder / "vgg16.safetensors")
    found, absent = metrics.load(list(FIGURES), folder)
    (folder / "vgg16.safetensors").unlink()  # 59 MB, and pytest keeps its folders
    assert not absent
    return {metric.name: metric for metric in found}


@pytest.mark.parametrize("name", FIGURES)
def test_gives_what_the_package_gives(name: str, loaded: dict[str, metrics.Metric]) -> None:
    odd = waves(75, 101), waves(75, 101, swapped=True)
    for pair, wanted in zip((*pairs(), odd), FIGURES[name], strict=True):
        assert loaded[name](*pair) == pytest.approx(wanted, abs=5e-6)


@pytest.mark.parametrize("name", FIGURES)
def test_equal_pictures_are_at_no_distance(name: str, loaded: dict[str, metrics.Metric]) -> None:
    assert loaded[name](waves(40, 33), waves(40, 33)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", FIGURES)
def test_kept_features_stay_what_they_are(
    name: str, loaded: dict[str, metrics.Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = waves(48, 64), waves(48, 64, swapped=True)
    fresh = loaded[name](first, second)
    assert loaded[name](first, second) == fresh
    monkeypatch.setattr(pictures, "MAX_KEPT_BYTES", 0)
    assert loaded[name](first, second) == fresh


# The package's figures on the same pictures.
@pytest.mark.parametrize(("side", "wanted"), [(1, 0.0628395), (2, 0.0340563), (3, 0.0196528)])
def test_dists_takes_the_smallest_pictures(
    side: int, wanted: float, loaded: dict[str, metrics.Metric]
) -> None:
    dark = waves(side, side)
    assert loaded["dists"](dark, dark + np.uint8(3)) == pytest.approx(wanted, abs=1e-5)


def test_lpips_vgg_wants_16_pixels(loaded: dict[str, metrics.Metric]) -> None:
    assert loaded["lpips_vgg"](waves(15, 40), waves(15, 40)) is None
    assert loaded["lpips_vgg"](waves(16, 40), waves(16, 40)) == 0


def test_sources_name_backbone_and_heads(loaded: dict[str, metrics.Metric]) -> None:
    assert "vgg16.safetensors and package lpips 0" in loaded["lpips_vgg"].source
    assert "vgg16.safetensors and package DISTS-pytorch 0" in loaded["dists"].source
