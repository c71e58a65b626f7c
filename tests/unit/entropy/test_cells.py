"""Coding by cells: against a coder of unlimited integers, at the ends of what cells can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqcodec.entropy.rangecoder import CellDecoder, cells, encode_cells
from vqcodec.errors import FormatError

UNITS = 2**24


def coded(cuts: list[tuple[int, int]]) -> bytes:
    """FORMAT.md section 7.2, the encoder in integers of unlimited size."""
    low, spread, bits = 0, 2**64 - 1, 64
    for left, size in cuts:
        scale = spread >> 24
        low += scale * left
        spread = scale * size
        if spread < 2**32:
            low, spread, bits = low << 32, spread << 32, bits + 32
    for n_bytes in range(bits // 8 + 1):
        unit = 1 << bits - 8 * n_bytes
        value = -(-low // unit)
        if value * unit < low + spread:
            return value.to_bytes(n_bytes, "big")
    raise AssertionError


def random_rows(size: int, n: int, rng: np.random.Generator, kind: str) -> np.ndarray:
    """(n, K + 2) rows: skewed, even, all units but one cell's at one place, or each cell a unit."""
    spare = UNITS - (size + 2)
    rows = np.zeros((n, size + 2))
    if kind == "one":
        rows[np.arange(n), rng.integers(1, size + 1, n)] = spare
        return rows
    if kind == "units":
        rows[:, -1] = spare
        return rows
    share = rng.gamma(0.05 if kind == "skewed" else 5.0, size=(n, size)) + 1e-9
    rows[:, 1:-1] = np.floor(share / share.sum(axis=1, keepdims=True) * spare * 0.999)
    rows[:, -1] = spare - rows.sum(axis=1)
    return rows


KINDS = ["skewed", "even", "one", "units"]


@given(
    st.sampled_from([1, 2, 8, 100, 1024, 16384]),
    st.integers(0, 60),
    st.integers(0, 2**32),
    st.sampled_from(KINDS),
)
def test_payloads_are_those_of_unlimited_integers(size, n, seed, kind) -> None:
    rng = np.random.default_rng(seed)
    rows, symbols = random_rows(size, n, rng, kind), rng.integers(size, size=n).astype(np.int32)
    left, width = cells(rows, symbols) if n else (np.zeros(0), np.zeros(0))
    exact = [
        (1 + int((rows[i, 1 : s + 1] + 1).sum()), 1 + int(rows[i, s + 1]))
        for i, s in enumerate(symbols)
    ]
    assert list(zip(left.tolist(), width.tolist(), strict=True)) == exact
    payload = encode_cells(left, width)
    assert payload == coded(exact)
    assert len(payload) <= 3 * n + 1
    decoder = CellDecoder(payload, n)
    done = 0
    while done < n:  # in pieces of any size, as waves come
        step = int(rng.integers(1, 8))
        found = decoder.decode(rows[done : done + step])
        assert np.array_equal(found, symbols[done : done + step])
        done += step


@pytest.mark.parametrize("kind", ["units", "mixed"])
def test_the_costliest_maps_fit_the_limit_of_three_bytes_an_index(kind) -> None:
    n = 20_000
    left = np.full(n, 1.0) if kind == "units" else np.arange(1.0, n + 1) * 700
    size = np.ones(n) if kind == "units" else 1.0 + np.arange(n) % 2
    assert 3 * n - 2000 < len(encode_cells(left, size)) <= 3 * n + 1


@pytest.mark.parametrize(
    ("left", "size"), [(0, 5), (1, 0), (1, UNITS - 1), (UNITS - 1, 1), (-3, 9)]
)
def test_cells_outside_their_range_are_the_callers_mistake(left, size) -> None:
    with pytest.raises(ValueError, match="cells must lie"):
        encode_cells(np.array([left], float), np.array([size], float))


def test_the_largest_cell_of_all_is_coded() -> None:
    payload = encode_cells(np.array([1.0] * 9), np.array([UNITS - 2.0] * 9))
    rows = np.array([[0.0, UNITS - 3.0, 0.0]] * 9)
    assert CellDecoder(payload, 9).decode(rows).tolist() == [0] * 9


@pytest.mark.parametrize(
    ("payload", "n"), [(b"\x12\0", 5), (b"\x12" * 17, 5), (b"\x01", 0), (b"\0", 1)]
)
def test_payloads_that_no_encoder_writes_are_refused(payload, n) -> None:
    with pytest.raises(FormatError, match="not one that an encoder writes"):
        CellDecoder(payload, n)


@pytest.mark.parametrize("payload", [b"", b"\xff" * 3, b"\xff" * 12, b"\0\0\0\x01"])
def test_units_of_no_index_are_refused(payload) -> None:
    rows = np.tile([0.0, *[1000.0] * 8, UNITS - 10 - 8000.0], (8, 1))
    with pytest.raises(FormatError, match="leaves the range"):
        CellDecoder(payload, 8).decode(rows)


def test_random_payloads_give_symbols_or_a_named_error() -> None:
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(2000):
        n, size = int(rng.integers(1, 60)), int(rng.choice([1, 8, 4096]))
        rows = random_rows(size, n, rng, KINDS[rng.integers(4)])
        try:
            found = CellDecoder(rng.bytes(int(rng.integers(0, 3 * n))), n).decode(rows)
        except FormatError:
            refused += 1
            continue
        assert 0 <= found.min() <= found.max() < size
    assert refused > 100


def test_constriction_prints_nothing(capfd) -> None:
    test_the_largest_cell_of_all_is_coded()
    assert capfd.readouterr() == ("", "")
