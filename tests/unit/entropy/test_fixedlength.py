"""Fixed-length codes."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.entropy import fixedlength
from vqcodec.errors import FormatError, TruncatedError


def test_bits_go_most_significant_first() -> None:
    assert fixedlength.encode(np.array([5, 1, 7], np.int32), 8).hex() == "a780"


@pytest.mark.parametrize(("size", "bits"), [(2, 1), (8, 3), (9, 4), (2048, 11)])
def test_widths(size, bits) -> None:
    assert fixedlength.bits_per_symbol(size) == bits


def test_long_maps_go_in_chunks_without_a_seam() -> None:
    symbols = np.random.default_rng(0).integers(2048, size=700_001).astype(np.int32)
    payload = fixedlength.encode(symbols, 2048)
    assert len(payload) == fixedlength.payload_bytes(len(symbols), 2048)
    assert np.array_equal(fixedlength.decode(payload, len(symbols), 2048), symbols)


@pytest.mark.parametrize(
    ("payload", "n", "size", "error"),
    [
        (b"", 1, 8, TruncatedError),
        (b"\xa0\x00", 1, 8, FormatError),
        (b"\xa1", 1, 8, FormatError),
        (b"\xf0", 1, 9, FormatError),
    ],
)
def test_wrong_payloads_are_refused(payload, n, size, error) -> None:
    with pytest.raises(error):
        fixedlength.decode(payload, n, size)


def test_symbols_outside_the_codebook_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="0 to 7"):
        fixedlength.encode(np.array([8], np.int32), 8)
