"""What the tests of networks without torch share: the tiny pack in torch and in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.one_thread import one_thread  # noqa: F401  (autouse)
from vqcodec.nets.load import Nets
from vqcodec.nets.load import load as load_torch
from vqcodec.onnx.load import OnnxNets, load
from vqcodec.packs import store


@pytest.fixture(scope="session")
def in_torch(tiny_pack: Path) -> Nets:
    """The tiny pack in torch."""
    return load_torch(store.load(tiny_pack), device="cpu")


@pytest.fixture(scope="session")
def in_onnx(tiny_pack: Path) -> OnnxNets:
    """The tiny pack in onnxruntime."""
    return load(store.load(tiny_pack), threads=1)
