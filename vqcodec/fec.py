"""Forward error correction: parity payloads, and lost payloads rebuilt from them.

FORMAT.md section 5A. Payloads are the rows of a table whose columns are codewords of a Reed-Solomon
code, so any P intact packets of P + M give all data. A loss is the same for all columns: what
reedsolo does for one column is done here for all at once, as products of small matrices over
GF(256). What is rebuilt is checked as far as it can be; a parity packet is as hostile as any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.layout import MAX_CODEWORD
from vqcodec.bitstream.packets import Header
from vqcodec.entropy import fixedlength

_COLUMNS = 2**14  # at a time: bounds the memory of a product

Bytes = NDArray[np.uint8]


def protect(payloads: Sequence[bytes], n_parity: int) -> list[bytes]:
    """Make the payloads of a file's parity packets.

    Args:
        payloads: of the data packets, by packet index.
        n_parity: parity packets wanted; so many lost packets can be rebuilt.

    Returns:
        `n_parity` payloads, for the packets after the data packets: one byte `n_parity`, then as
        many bytes as the longest data payload has.

    Raises:
        ValueError: fewer than 2 data packets, no parity packet, or more than 255 together.
    """
    n_packets = len(payloads)
    if n_packets < 2 or n_parity < 1 or n_packets + n_parity > MAX_CODEWORD:
        raise ValueError(
            f"{n_packets}+{n_parity} packets: parity needs 2 data packets or more, and all "
            f"packets together are at most {MAX_CODEWORD}"
        )
    table = _table(payloads, max(map(len, payloads)))
    parity = _product(_parity_matrix(n_packets, n_parity), table)
    return [bytes([n_parity]) + row.tobytes() for row in parity]


def recover(header: Header, payloads: Mapping[int, bytes]) -> dict[int, bytes]:
    """Rebuild lost data payloads where enough packets are there.

    Args:
        header: of the file.
        payloads: of intact packets by packet index, data and parity, any subset; indices that the
            file cannot have are ignored.

    Returns:
        Data payloads by packet index: the given ones as they are, and all others if at least
        `n_packets` packets are usable, do not contradict each other, and give what an encoder can
        have put in.
    """
    data = {index: payloads[index] for index in range(header.n_packets) if index in payloads}
    lost = [index for index in range(header.n_packets) if index not in data]
    n_parity, parity = _usable_parity(header, payloads, data) if lost else (0, {})
    if not lost or len(parity) < len(lost):
        return data
    rows, known = sorted(parity), list(data)
    size = len(parity[rows[0]])
    matrix = _parity_matrix(header.n_packets, n_parity)[rows]
    shares = _table([parity[row] for row in rows], size) ^ _product(
        matrix[:, known], _table([data[index] for index in known], size)
    )
    enough, more = slice(len(lost)), slice(len(lost), None)
    table = _product(_inverse(matrix[enough, lost]), shares[enough])
    if not np.array_equal(_product(matrix[more, lost], table), shares[more]):
        return data
    rebuilt = {index: row.tobytes() for index, row in zip(lost, table, strict=True)}
    cut = {index: _without_padding(header, index, row) for index, row in rebuilt.items()}
    possible = {index: payload for index, payload in cut.items() if payload is not None}
    # All came from the same packets: if one is impossible, none is to be trusted.
    return data | possible if len(possible) == len(lost) else data


def _usable_parity(
    header: Header, payloads: Mapping[int, bytes], data: Mapping[int, bytes]
) -> tuple[int, dict[int, bytes]]:
    """M, and the bytes of the largest group of parity packets that agree, by number from 0.

    Of equally large groups that with the lowest packet index is taken.
    """
    n_packets = header.n_packets
    claims = {
        index: (payloads[index][0], len(payloads[index]) - 1)
        for index in sorted(payloads)
        if index >= n_packets > 1 and payloads[index]
    }
    claims = {
        index: (n_parity, size)
        for index, (n_parity, size) in claims.items()
        if index < n_packets + n_parity <= MAX_CODEWORD
    }
    if not claims:
        return 0, {}
    high = max(_size(header, index) for index in range(n_packets))
    low = max(map(len, data.values()), default=0)
    low = max(low, high) if header.coding == "fixed" else low
    possible = {index: claim for index, claim in claims.items() if low <= claim[1] <= high}
    if not possible:
        return 0, {}
    (claim, _), *_ = Counter(possible.values()).most_common(1)  # ties: the first seen
    mine = [index for index in possible if possible[index] == claim]
    return claim[0], {index - n_packets: payloads[index][1:] for index in mine}


def _size(header: Header, index: int) -> int:
    """Bytes of a data packet's payload: exactly in fixed coding, at most in the others."""
    n = header.num_indices(index)
    if header.coding == "fixed":
        return fixedlength.payload_bytes(n, header.codebook_size)
    return 3 * n + 1 if n else 0


def _without_padding(header: Header, index: int, row: bytes) -> bytes | None:
    """Cut a rebuilt row to its payload; None where no payload of this packet looks like it."""
    # Range-coded payloads never end in a zero byte.
    size = _size(header, index)
    payload = row[:size] if header.coding == "fixed" else row.rstrip(b"\0")
    return payload if len(payload) <= size and not any(row[size:]) else None


def _table(payloads: Sequence[bytes], size: int) -> Bytes:
    """Stack payloads as rows, padded with zeros."""
    table = np.zeros((len(payloads), size), np.uint8)
    for row, payload in zip(table, payloads, strict=True):
        row[: len(payload)] = np.frombuffer(payload, np.uint8)
    return table


@lru_cache(maxsize=1)
def _products() -> Bytes:
    """(256, 256) the products of the field."""
    from reedsolo import RSCodec

    codec = RSCodec(1)
    log = np.array(codec.gf_log, np.int64)
    products: Bytes = np.array(codec.gf_exp, np.uint8)[(log[:, None] + log) % MAX_CODEWORD]
    products[0], products[:, 0] = 0, 0
    return products


@lru_cache(maxsize=8)
def _parity_matrix(n_packets: int, n_parity: int) -> Bytes:
    """(M, P) the factor with which each data symbol enters each check symbol."""
    from reedsolo import RSCodec

    codec = RSCodec(n_parity)
    units = np.eye(n_packets, dtype=np.uint8)
    rows: list[list[int]] = [list(codec.encode(unit.tobytes())[n_packets:]) for unit in units]
    return np.array(rows, np.uint8).T


def _product(left: Bytes, right: Bytes) -> Bytes:
    """(m, n) times (n, size) over the field."""
    products, result = _products(), np.zeros((len(left), right.shape[1]), np.uint8)
    for begin in range(0, right.shape[1], _COLUMNS):
        span = slice(begin, begin + _COLUMNS)
        for column, row in zip(left.T, right[:, span], strict=True):
            result[:, span] ^= products[column[:, None], row]
    return result


def _inverse(matrix: Bytes) -> Bytes:
    """Invert an (n, n) part of a parity matrix, each of which has an inverse (Gauss-Jordan)."""
    products, n = _products(), len(matrix)
    both = np.concatenate([matrix, np.eye(n, dtype=np.uint8)], axis=1)
    for at in range(n):
        pivot = at + int(np.flatnonzero(both[at:, at])[0])
        both[[at, pivot]] = both[[pivot, at]]
        both[at] = products[int(np.flatnonzero(products[both[at, at]] == 1)[0]), both[at]]
        others = both[:, at].copy()
        others[at] = 0
        both ^= products[others[:, None], both[at]]
    return both[:, n:]
