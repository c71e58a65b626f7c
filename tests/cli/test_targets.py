"""encode for a target size, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(folder: Path) -> list[str]:
    """Noise of two sizes: 35 and 12 indices."""
    random = np.random.default_rng(0)
    for name, shape in (("large.png", (80, 112, 3)), ("little.png", (48, 64, 3))):
        Image.fromarray(random.integers(256, size=shape, dtype=np.uint8)).save(folder / name)
    return ["large.png", "little.png"]


def records(run: Callable, *arguments: str) -> list[dict]:
    result = run("encode", *arguments, "-m", "tiny", "--json", "-q", "-f")
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_file_is_the_largest_that_fits(
    run: Callable, folder: Path, pictures: list[str]
) -> None:
    sizes = {
        tier: records(run, pictures[0], "-t", str(tier))[0]["size_bytes"] for tier in range(1, 10)
    }
    for target in (sizes[1], 45, 60, sizes[9]):
        (found,) = records(run, pictures[0], "--target-bytes", str(target))
        assert found["tier"] == max(tier for tier, size in sizes.items() if size <= target)
        assert found["size_bytes"] == (folder / "large.vqc").stat().st_size <= target


def test_a_rate_means_each_images_own_size(run: Callable, pictures: list[str]) -> None:
    found = records(run, *pictures, "--target-bpp", "0.06")
    assert [record["path"] for record in found] == pictures
    assert all(record["bpp"] <= 0.06 for record in found)
    assert found[0]["tier"] > found[1]["tier"]  # the heads weigh more on a small image


def test_a_records_rate_gives_the_same_file_again(run: Callable, pictures: list[str]) -> None:
    for tier in range(1, 10):
        (first,) = records(run, pictures[0], "-t", str(tier))
        (again,) = records(run, pictures[0], "--target-bpp", repr(first["bpp"]))
        assert again["size_bytes"] == first["size_bytes"]


def test_an_image_that_cannot_be_so_small_is_told_and_others_go_on(
    run: Callable, folder: Path, pictures: list[str]
) -> None:
    result = run("encode", *pictures, "-m", "tiny", "--target-bytes", "22")
    assert result.exit_code == 3
    first, second = result.stderr.splitlines()
    assert first.startswith("vqcodec: error: large.png: tier 1 takes ")
    assert first.endswith(", more than the target of 22. Scale the image down or allow more.")
    assert second.startswith("little.png -> little.vqc: ")
    assert not (folder / "large.vqc").exists()
    assert (folder / "little.vqc").stat().st_size <= 22


def test_a_rate_below_one_byte_is_told(run: Callable, pictures: list[str]) -> None:
    result = run("encode", pictures[1], "-m", "tiny", "--target-bpp", "1e-9")
    assert result.exit_code == 3
    assert "more than the target of 1." in result.stderr


def test_stdin_to_stdout_meets_a_target(run: Callable, folder: Path, pictures: list[str]) -> None:
    image = (folder / pictures[0]).read_bytes()
    result = run("encode", "-", "-o", "-", "-m", "tiny", "--target-bytes", "40", stdin=image)
    assert result.exit_code == 0
    assert 16 < len(result.stdout_bytes) <= 40
