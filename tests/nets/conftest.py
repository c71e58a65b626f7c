"""What the tests of networks share: one thread, the tiny pack, copies of it to break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.one_thread import one_thread  # noqa: F401  (autouse)
from vqcodec.nets.load import Nets, load
from vqcodec.packs import store

Change = Callable[[dict[str, Tensor]], None]


@pytest.fixture(scope="session")
def tiny(tiny_pack: Path) -> Nets:
    """The tiny pack, loaded."""
    return load(store.find(tiny_pack), device="cpu")


@pytest.fixture
def changed_pack(tiny_pack: Path, tmp_path: Path) -> Callable[[Change], store.Pack]:
    """Make a copy of the tiny pack whose tensors a function has changed."""

    def make(change: Change) -> store.Pack:
        folder = tmp_path / "pack"
        shutil.copytree(tiny_pack, folder)
        tensors = load_file(folder / "weights.safetensors")
        change(tensors)
        save_file(tensors, folder / "weights.safetensors")
        return store.find(folder)

    return make
