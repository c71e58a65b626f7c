"""LPIPS on AlexNet and SqueezeNet against figures of the package lpips 0.1.4.

They were computed with the package's own code and heads, outside this project, from the weights as
stored (partly fp16).
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from eval import metrics
from eval.images import read_rgb
from eval.metrics import pictures
from eval.metrics.selfcheck import pairs, waves
from eval.metrics.weights import package_file

NETS = ("alex", "squeeze")
DIFFERENT = {"alex": 0.6476539, "squeeze": 0.4918846}
SLIGHT = {"alex": 0.1610281, "squeeze": 0.2076320}
ODD = {"alex": 0.5675111, "squeeze": 0.4671079}  # 75x101 pixels: no side divides by a stride


@pytest.fixture(scope="module")
def loaded(shared_weights: Path) -> dict[str, metrics.Metric]:
    found, absent = metrics.load([f"lpips_{net}" for net in NETS], shared_weights)
    assert not absent
    return {metric.name.removeprefix("lpips_"): metric for metric in found}


@pytest.mark.parametrize("net", NETS)
def test_gives_what_the_package_gives(net: str, loaded: dict[str, metrics.Metric]) -> None:
    different, slight = pairs()
    assert loaded[net](*different) == pytest.approx(DIFFERENT[net], abs=1e-5)
    assert loaded[net](*slight) == pytest.approx(SLIGHT[net], abs=1e-5)
    odd = waves(75, 101), waves(75, 101, swapped=True)
    assert loaded[net](*odd) == pytest.approx(ODD[net], abs=1e-5)


def test_gives_what_the_package_gives_on_a_photo(
    loaded: dict[str, metrics.Metric], shared_data: Path
) -> None:
    photo = read_rgb(shared_data / "kodak" / "kodim01.png")
    half = Image.fromarray(photo).resize((384, 256), Image.Resampling.LANCZOS)
    blurred = np.asarray(half.resize((768, 512), Image.Resampling.LANCZOS))
    assert loaded["alex"](photo, blurred) == pytest.approx(0.35255, abs=2e-3)


@pytest.mark.parametrize("net", NETS)
def test_equal_pictures_are_at_no_distance(net: str, loaded: dict[str, metrics.Metric]) -> None:
    assert loaded[net](waves(64, 64), waves(64, 64)) == 0


@pytest.mark.parametrize(("net", "side"), [("alex", 31), ("squeeze", 17)])
def test_small_pictures_have_no_figure(
    net: str, side: int, loaded: dict[str, metrics.Metric]
) -> None:
    assert loaded[net].min_side == side
    found = loaded[net](waves(side, side), waves(side, side, swapped=True))
    assert found is not None
    assert math.isfinite(found)
    assert loaded[net](waves(side - 1, 99), waves(side - 1, 99)) is None


@pytest.mark.parametrize("net", NETS)
def test_kept_features_are_those_of_the_picture_at_hand(
    net: str, loaded: dict[str, metrics.Metric]
) -> None:
    metric = loaded[net]
    (original, different), (_, slight) = pairs()
    buffer = original.copy()
    first = metric(buffer, different)
    assert metric(buffer, slight) == pytest.approx(SLIGHT[net], abs=1e-5)
    assert metric(buffer, different) == first
    buffer[:] = different  # the same array shows another picture now
    assert metric(buffer, different) == 0
    # Another shape of the same bytes is another picture.
    assert metric(buffer.reshape(128, 96, 3), different.reshape(128, 96, 3)) == 0
    assert metric(buffer, different) == 0


@pytest.mark.parametrize("net", NETS)
def test_pictures_too_large_for_keeping_give_the_same(
    net: str, loaded: dict[str, metrics.Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_KEPT_BYTES", 0)
    _, slight = pairs()
    assert loaded[net](*slight) == pytest.approx(SLIGHT[net], abs=1e-5)


@pytest.mark.parametrize("net", NETS)
def test_heads_come_from_the_package_where_the_folder_lacks_them(
    net: str, loaded: dict[str, metrics.Metric], shared_weights: Path, tmp_path: Path
) -> None:
    if package_file("lpips", "lpips", f"weights/v0.1/{net}.pth") is None:
        pytest.skip("package lpips is not installed: pip install --no-deps lpips")
    shutil.copy(shared_weights / f"{net}.safetensors", tmp_path)
    (metric,), absent = metrics.load([f"lpips_{net}"], tmp_path)
    assert not absent
    _, slight = pairs()
    assert metric(*slight) == loaded[net](*slight)
    assert "package lpips" in metric.source
    assert f"lpips_{net}.safetensors" in loaded[net].source
    # The same tensors have the same digest, wherever they lay.
    assert metric.source.split()[-1] == loaded[net].source.split()[-1]


@pytest.mark.parametrize(
    ("file", "key"), [("squeeze", "features.0.weight"), ("lpips_squeeze", "lin2")]
)
def test_weights_that_are_not_lpips_s_fail_the_self_check(
    file: str, key: str, shared_weights: Path, tmp_path: Path
) -> None:
    for name in ("squeeze", "lpips_squeeze"):
        tensors = load_file(shared_weights / f"{name}.safetensors")
        if name == file:
            tensors[key] = tensors[key] * 1.05
        save_file(tensors, tmp_path / f"{name}.safetensors")
    loaded, absent = metrics.load(["lpips_squeeze"], tmp_path)
    assert not loaded
    assert "self-check gave" in absent["lpips_squeeze"]
    assert str(tmp_path) in absent["lpips_squeeze"]
    assert "\n" not in absent["lpips_squeeze"]


def test_weights_that_are_none_fail_the_self_check(shared_weights: Path, tmp_path: Path) -> None:
    tensors = load_file(shared_weights / "squeeze.safetensors")
    tensors["features.12.squeeze.bias"] = tensors["features.12.squeeze.bias"] * math.nan
    save_file(tensors, tmp_path / "squeeze.safetensors")
    shutil.copy(shared_weights / "lpips_squeeze.safetensors", tmp_path)
    _, absent = metrics.load(["lpips_squeeze"], tmp_path)
    assert "self-check gave nan" in absent["lpips_squeeze"]
