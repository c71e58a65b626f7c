"""Assignment against the inputs' second moments, and the words it chooses from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vqcodec.compression.assignment import assign, second_moments
from vqcodec.compression.steps import Step
from vqcodec.compression.vectors import closest, cut, fit_words
from vqcodec.compression.words import FULL, choose, low_rank, rounded


def _moments(n: int) -> Tensor:
    """Of correlated inputs, as neighbouring pixels are."""
    torch.manual_seed(1)
    inputs = torch.randn(400, n).cumsum(1)
    return inputs.t() @ inputs / 400


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_errors_that_the_inputs_see_are_smaller_than_by_the_nearest_word(dim: int) -> None:
    moments = _moments(30)
    rows, _ = cut(torch.randn(16, 30), dim)
    table = fit_words(rows.reshape(-1, dim), torch.ones(rows.numel() // dim), 8, seed=0)
    codes, open_ = assign(rows, moments, table)
    assert codes.shape == (16, rows.shape[1] // dim)
    assert torch.equal(open_[:, :dim], rows[:, :dim])  # nothing came before

    def error(codes: Tensor) -> float:
        missed = (table[codes].flatten(1) - rows)[:, :30]
        return float(((missed @ moments) * missed).sum())

    plain = closest(rows.reshape(-1, dim), table).view(codes.shape)
    assert error(codes) < 0.5 * error(plain)


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 1)])
def test_second_moments_follow_the_order_of_a_flattened_kernel(layer: nn.Conv2d) -> None:
    torch.manual_seed(2)
    x = torch.randn(10, 3, 8, 8)
    step = Step(lambda x, tiers: layer(x), "layer", layer)
    moments = second_moments(step, layer, x, torch.ones(10, dtype=torch.int64))
    with torch.no_grad():
        out = layer(x) - layer.bias[:, None, None]
        rows = layer.weight.flatten(1)
        power = ((rows @ moments) * rows).sum(1)
    torch.testing.assert_close(power, out.square().mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_integers_are_those_of_plain_rounding() -> None:
    kernel = torch.tensor([[1.0, -0.5, 0.13, 0.07], [0.0, 0.0, 0.0, 0.0]]).view(2, 4, 1, 1)
    found = rounded(kernel, 4).rows() / torch.tensor([[1 / 7], [1.0]])
    torch.testing.assert_close(
        found, torch.tensor([[7.0, -4, 1, 0], [0, 0, 0, 0]]), atol=4e-3, rtol=0
    )


def test_a_kernel_that_lies_in_few_dimensions_gets_words_of_low_rank() -> None:
    torch.manual_seed(3)
    # Sub-vectors of four are multiples of one direction.
    flat = torch.randn(64, 64, 1) * torch.tensor([1.0, -2.0, 0.5, 1.5])
    kernel, moments = flat.reshape(64, 256, 1, 1), torch.eye(256)
    assert choose(kernel, moments, 2, seed=0).rank == 1
    words, restore = low_rank(2)(kernel, moments)
    assert restore is not None
    assert words.shape[1] == restore.shape[1] == 1


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_low_rank_takes_no_more_bytes_than_vq(bits: int) -> None:
    torch.manual_seed(4)
    kernel = torch.randn(48, 24, 3, 3)
    shape = choose(kernel, torch.eye(216), bits, seed=0)
    assert shape.n_bytes(48, 216) <= 1.02 * FULL[bits].n_bytes(48, 216)
    assert shape.bits / shape.dim == bits


def test_fewer_vectors_than_words_are_all_kept() -> None:
    words = fit_words(torch.tensor([[1.0], [2.0], [2.0]]), torch.ones(3), 4, seed=0)
    assert words.shape == (4, 1)
    assert set(words.flatten().tolist()) == {1.0, 2.0}
