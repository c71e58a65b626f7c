"""Smooth pictures of any size, and programs to put on the PATH."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
T = TypeVar("T")


def make_picture(height: int, width: int, seed: int = 3) -> Pixels:
    """Soft coloured clouds, like a photo out of focus."""
    rng = np.random.default_rng(seed)
    rows, columns = 2 + height // 24, 2 + width // 24
    small = Image.fromarray(rng.integers(40, 216, (rows, columns, 3), np.uint8))
    large = small.resize((24 * columns, 24 * rows), Image.Resampling.BICUBIC)
    return np.asarray(large)[:height, :width]


def through_a_pipe(value: T) -> T:
    """Return what a worker process would get."""
    copy: T = ForkingPickler.loads(ForkingPickler.dumps(value))
    return copy


@pytest.fixture
def save_picture(tmp_path: Path) -> Callable[[Pixels], Path]:
    def save(pixels: Pixels, name: str = "photo") -> Path:
        path = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put Python scripts on the PATH, before all else."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, source: str) -> Path:
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
        path.chmod(0o755)
        return path

    return put
