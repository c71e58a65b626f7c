"""Kernels in codes: the round trip, and what is refused before memory is taken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vqcodec.errors import PackError
from vqcodec.nets.codes import from_codes, to_codes
from vqcodec.nets.kernels import from_stored

SHAPE = (6, 5, 3, 3)  # rows of 45 weights: padded for most lengths


@pytest.mark.parametrize(("bits", "dim"), [(1, 1), (4, 1), (6, 2), (8, 4), (10, 5), (12, 7)])
@pytest.mark.parametrize("is_low_rank", [False, True])
def test_a_kernel_comes_back_as_its_words_say(bits: int, dim: int, is_low_rank: bool) -> None:
    torch.manual_seed(bits)
    per_row = -(-45 // dim)
    codes = torch.randint(2**bits, (6 * per_row,))
    rank = max(1, dim - 1) if is_low_rank else dim
    words, scale = torch.randn(2**bits, rank).half(), torch.rand(6).half()
    restore = torch.randn(dim, rank).half() if is_low_rank else None
    stored = to_codes(codes, words, scale, restore)
    assert stored["codes"].numel() == -(-6 * per_row * bits // 8)
    table = words.float() if restore is None else words.float() @ restore.float().t()
    rows = table[codes].view(6, -1)[:, :45] * scale.float()[:, None]
    assert torch.equal(from_codes("k", stored, SHAPE), rows.view(SHAPE))


def _stored() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return to_codes(torch.randint(16, (6 * 23,)), torch.randn(16, 2), torch.ones(6))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"codes": None}, "k.codes is missing"),
        ({"words": None}, "k.words is missing"),
        ({"scale": None}, "k.scale is missing"),
        ({"codes": torch.zeros(68, dtype=torch.uint8)}, "wanted 69 bytes"),
        ({"codes": torch.zeros(69, dtype=torch.int8)}, "wanted 69 bytes"),
        ({"words": torch.zeros(15, 2)}, "power of two"),
        ({"words": torch.zeros(1, 2)}, "power of two"),
        ({"words": torch.zeros(16, 2, dtype=torch.int8)}, "must hold floats"),
        ({"words": torch.zeros(16, 65)}, "does not fit"),
        ({"restore": torch.zeros(3, 1)}, "does not fit"),
        ({"restore": torch.zeros(0, 2)}, "does not fit"),
        ({"scale": torch.ones(7)}, "wanted \\(6,\\)"),
    ],
)
def test_parts_that_do_not_fit_are_named(change: dict[str, Tensor | None], fault: str) -> None:
    parts = {name: value for name, value in (_stored() | change).items() if value is not None}
    with pytest.raises(PackError, match=fault):
        from_codes("k", parts, SHAPE)


def test_codes_that_no_network_wants_and_values_that_are_not_finite_are_refused() -> None:
    stored = {f"k.{name}": value for name, value in _stored().items()}
    assert from_stored(stored, {"k": SHAPE})["k"].shape == SHAPE
    for shapes in (None, {"other": SHAPE}):
        with pytest.raises(PackError, match=r"k\.codes is unknown"):
            from_stored(stored, shapes)
    stored["k.words"] = torch.full((16, 2), torch.nan).half()
    with pytest.raises(PackError, match="not finite"):
        from_stored(stored, {"k": SHAPE})
