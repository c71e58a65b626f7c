"""The search for the nearest codeword is exact, and the lowest index wins ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vqcodec.nets import quantizer
from vqcodec.nets.quantizer import SimVQ, nearest, to_sphere


def _by_hand(latents: Tensor, codewords: Tensor) -> Tensor:
    """One distance after the other; exact for small multiples of 1/8."""
    distance = (latents.double()[:, None] - codewords.double()[None]).square().sum(2)
    least = distance.min(1, keepdim=True).values
    return torch.tensor(
        [int((row == best).nonzero()[0]) for row, best in zip(distance, least, strict=True)]
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Latents and codewords on a coarse grid, so that ties and duplicates abound."""
    dim, n_words = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32))
    generator = torch.Generator().manual_seed(seed)
    span = draw(st.sampled_from([1, 2, 40]))
    words = torch.randint(-span, span + 1, (n_words, dim), generator=generator) / 8
    copies = torch.randint(n_words, (draw(st.integers(0, 40)),), generator=generator)
    words = torch.cat([words, words[copies]])
    n_latents = draw(st.integers(0, 30))
    latents = torch.randint(-span, span + 1, (n_latents, dim), generator=generator) / 8
    return latents, words


@given(_cases())
def test_nearest_is_exact_and_the_lowest_index_wins(case: tuple[Tensor, Tensor]) -> None:
    latents, words = case
    assert nearest(latents, words).tolist() == _by_hand(latents, words).tolist()


@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from([1, 4, 32, 256]))
def test_duplicates_of_random_codewords_tie_to_the_last_bit(seed: int, n: int, dim: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(17, dim, generator=generator)
    latents = torch.randn(n, dim, generator=generator)
    once = nearest(latents, words)
    assert nearest(latents, words.repeat(5, 1)).tolist() == once.tolist()


@given(st.integers(0, 2**32))
def test_close_calls_are_settled_by_the_direct_distance(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Large norms and tiny differences: the matrix product alone cannot tell these words apart.
    words = 1e4 + 1e-7 * torch.randn(50, 8, generator=generator, dtype=torch.float64)
    latents = words[torch.randint(50, (20,), generator=generator)]
    found = nearest(latents, words)
    assert torch.equal(words[found], latents)


def test_chunks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    latents, words = torch.randn(257, 6), torch.randn(33, 6)
    whole = nearest(latents, words)
    monkeypatch.setattr(quantizer, "CHUNK", 33 * 10)
    assert torch.equal(nearest(latents, words), whole)


def test_wrong_shapes_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="latents"):
        nearest(torch.zeros(3, 4), torch.zeros(3, 5))
    with pytest.raises(ValueError, match="codeword"):
        nearest(torch.zeros(3, 4), torch.zeros(0, 4))


def test_simvq_starts_at_its_basis_and_folds_to_a_plain_table() -> None:
    words = to_sphere(torch.randn(16, 4))
    book = SimVQ(words)
    assert torch.allclose(book.fold(), words, atol=1e-6)
    assert not book.fold().requires_grad
    torch.nn.init.normal_(book.linear.weight)
    assert torch.allclose(book.fold().norm(dim=1), torch.tensor(2.0))
    assert [name for name, _ in book.named_parameters()] == ["linear.weight"]
