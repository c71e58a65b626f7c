"""Packs of random weights for the tests of this folder, and a look at calls of the codec."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import vqcodec.pillow  # noqa: F401  (registers the format)
from tests.one_thread import one_thread  # noqa: F401  (autouse)
from tests.unit.pillow.made import PICTURE, TESTS
from vqcodec import codec


@pytest.fixture(autouse=True)
def packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQCODEC_MODELS", str(TESTS / "packs"))


@pytest.fixture
def journeys(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments of each decoding."""
    calls: list[dict[str, Any]] = []
    real = codec.decode_with_losses

    def spy(data: bytes, **options: Any) -> codec.Decoded:
        calls.append(options)
        return real(data, **options)

    monkeypatch.setattr(codec, "decode_with_losses", spy)
    return calls


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, dict[str, Any]]]:
    """Pixels and options that were handed to `encode`."""
    calls: list[tuple[np.ndarray, dict[str, Any]]] = []

    @functools.wraps(codec.encode)
    def spy(pixels: np.ndarray, **options: Any) -> bytes:
        calls.append((pixels, options))
        return PICTURE.read_bytes()

    monkeypatch.setattr(codec, "encode", spy)
    return calls
