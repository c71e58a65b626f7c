"""The range coder and the tables: exact bytes, closed traps, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.entropy import frequencies, rangecoder
from vqcodec.errors import FormatError

TABLE = np.array([40000, 16000, 8000, 1000, 400, 100, 35, 1], np.uint16)


@pytest.mark.parametrize(
    ("symbols", "payload"),
    [
        ([0, 1, 0, 2, 0, 0, 3, 1, 0, 7], "744f0b6e"),
        ([0] * 6, ""),
        ([7, 7, 7], "fffffffffdfe"),
        ([2], "db"),
        ([], ""),
    ],
)
def test_payloads_are_those_of_the_format_document(symbols, payload) -> None:
    coded = rangecoder.encode(np.array(symbols, np.int32), TABLE)
    assert coded.hex() == payload
    assert rangecoder.decode(coded, len(symbols), TABLE).tolist() == symbols


def test_of_equally_short_payloads_that_of_least_value_is_written() -> None:
    alike = [p for p in range(1, 256) if rangecoder.decode(bytes([p]), 1, TABLE).tolist() == [2]]
    assert (alike[0], alike[-1], len(alike)) == (0xDB, 0xF9, 31)
    assert rangecoder.encode(np.array([2], np.int32), TABLE) == bytes([alike[0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_symbols_of_any_integer_type_and_stride_give_the_same_bytes(dtype) -> None:
    symbols = np.arange(64, dtype=np.int32) % 8
    strided = np.repeat(symbols, 2).astype(dtype)[::2]
    assert rangecoder.encode(strided, TABLE) == rangecoder.encode(symbols, TABLE)


@pytest.mark.parametrize("symbols", [[8], [-1], [0, 0, 9]])
def test_symbols_outside_the_table_are_the_callers_mistake(symbols) -> None:
    with pytest.raises(ValueError, match="0 to 7"):
        rangecoder.encode(np.array(symbols, np.int32), TABLE)


@pytest.mark.parametrize(
    "table",
    [
        TABLE.astype(np.float64),
        TABLE[:1],
        np.array([63489, 2047], np.uint16),
        TABLE[::-1][:-1],
        np.where(TABLE == 35, 0, TABLE).astype(np.uint16),
    ],
)
def test_what_is_no_table_is_refused(table) -> None:
    with pytest.raises(ValueError, match="frequency table"):
        rangecoder.encode(np.zeros(3, np.int32), table)


@pytest.mark.parametrize(
    ("payload", "n"), [(b"\x12\0", 5), (b"\x12" * 17, 5), (b"\x01", 0), (b"\xff" * 12, 8)]
)
def test_payloads_that_no_encoder_writes_are_refused(payload, n) -> None:
    with pytest.raises(FormatError):
        rangecoder.decode(payload, n, TABLE)


@pytest.mark.parametrize("size", [8, 256, 2048])
def test_long_maps_of_the_likeliest_word_stay_within_one_percent(size) -> None:
    """Here rounding in the coder costs most, since each symbol costs least (.046 bits)."""
    table = frequencies.from_counts([10**9] + [0] * (size - 1))
    symbols = np.zeros(3_000_000, np.int32)
    symbols[::5000] = 1
    payload = rangecoder.encode(symbols, table)
    assert len(payload) <= 1.01 * frequencies.ideal_bits(symbols, table) / 8 + 3
    assert np.array_equal(rangecoder.decode(payload, len(symbols), table), symbols)


def test_constriction_prints_nothing(capfd) -> None:
    rangecoder.decode(rangecoder.encode(np.arange(8, dtype=np.int32), TABLE), 8, TABLE)
    assert capfd.readouterr() == ("", "")


def test_counts_become_tables_by_largest_remainder() -> None:
    table = frequencies.from_counts([0, 0, 0, 3, 1])
    assert table.tolist() == [1, 1, 1, 1 + 49148, 1 + 16383]
    assert frequencies.from_counts([0, 0]).tolist() == [32768, 32768]
    assert frequencies.from_counts([0, 9, 0]).tolist() == [1024, 63488, 1024]


@pytest.mark.parametrize(
    "counts", [[1], [[1, 2]], [1, -1], [1, np.nan], [1, np.inf], np.ones(65536)]
)
def test_counts_that_are_none_are_refused(counts) -> None:
    with pytest.raises(ValueError, match="counts"):
        frequencies.from_counts(counts)
