"""Kernels in int8: the round trip and what is refused."""

from __future__ import annotations

import pytest
import torch

from vqcodec.errors import PackError
from vqcodec.nets.kernels import from_stored, to_stored


def test_int8_is_off_by_half_a_step_at_most() -> None:
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(8, 64, 3, 3) * torch.logspace(-4, 1, 8).view(8, 1, 1, 1)}
    stored = to_stored(state)
    assert set(stored) == {"a.weight.q", "a.weight.scale"}
    assert stored["a.weight.q"].dtype == torch.int8
    assert stored["a.weight.scale"].dtype == torch.float16
    step = stored["a.weight.scale"].float().view(8, 1, 1, 1)
    error = (from_stored(stored)["a.weight"] - state["a.weight"]).abs()
    # The scale is rounded to f16, which moves the outermost step of 127 by up to 2**-11 of it.
    assert bool((error <= step * (0.5 + 127 * 2**-10)).all())


def test_small_kernels_biases_and_everything_on_request_stay_in_f16() -> None:
    state = {"a.weight": torch.randn(8, 4, 3, 3), "a.bias": torch.randn(8)}
    assert all(value.dtype == torch.float16 for value in to_stored(state).values())
    large = {"a.weight": torch.randn(8, 64, 3, 3)}
    assert to_stored(large, int8=False)["a.weight"].dtype == torch.float16


@pytest.mark.parametrize(
    "stored",
    [
        {"w.q": torch.zeros(2, 2, dtype=torch.int8)},
        {"w.q": torch.zeros(2, 2, dtype=torch.int8), "w.scale": torch.ones(3).half()},
        {"w.q": torch.zeros(2, 2, dtype=torch.uint8), "w.scale": torch.ones(2).half()},
        {"w.q": torch.zeros(2, 2, dtype=torch.int8), "w.scale": torch.ones(2).int()},
        {"w.q": torch.ones(2, 2, dtype=torch.int8), "w.scale": torch.full((2,), torch.inf)},
        {"w": torch.full((2,), torch.nan)},
        {"w": torch.zeros(2, dtype=torch.int32)},
    ],
)
def test_broken_tensors_are_refused(stored: dict[str, torch.Tensor]) -> None:
    with pytest.raises(PackError):
        from_stored(stored)
