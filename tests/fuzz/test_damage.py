"""Damaged files: what is salvaged and decoded is right, or it is not there.

1,500 seeded cases; `VQCODEC_FUZZ=100000 pytest -s tests/fuzz/test_damage.py` runs more and shows
how many packets survived.
"""

from __future__ import annotations

import functools
import os
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.golden.make import example
from vqcodec import fec
from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header
from vqcodec.bitstream.salvage import Salvage, salvage
from vqcodec.errors import ChecksumError, VqcError
from vqcodec.packs import store
from vqcodec.payload import LOST, decode_index_map, encode_index_map

PACKS = Path(__file__).parents[1] / "packs"
N_CASES = int(os.environ.get("VQCODEC_FUZZ", "1500"))
SLICES = 10

Rng = np.random.Generator


@dataclass(frozen=True)
class Original:
    """A whole file, its packets' bytes and its index map."""

    header: Header
    data: bytes
    packets: tuple[bytes, ...]
    indices: np.ndarray


@functools.cache
def tables(coding: str, tier: int) -> tuple:
    pack = store.load(PACKS / ("tiny-context" if coding == "context" else "tiny"))
    return pack.tables(tier, coding)


def make(
    coding: str, n_packets: int, n_parity: int, tier: int, width: int, height: int, stride: int
) -> Original:
    header = Header(tier, coding, n_packets, 0x9BC5 + tier, width, height, stride)
    indices = example(header, "picture")
    payloads = encode_index_map(indices, header, *tables(coding, tier))
    parity = fec.protect(payloads, n_parity) if n_parity else []
    data = container.write(header, payloads, parity)
    offsets = [packet.offset for packet in container.parse(data).packets]
    ends = [*offsets[1:], len(data)]
    packets = tuple(data[start:end] for start, end in zip(offsets, ends, strict=True))
    return Original(header, data, packets, indices)


@pytest.fixture(scope="module")
def originals() -> list[Original]:
    kinds = [(1, 0), (4, 0), (4, 2), (20, 0), (20, 5)]
    return [
        make(
            *(coding, *kind, 1 + (number + len(coding)) % 6),
            *((90 + 37 * number) * stride // 16, 150 * stride // 16, stride),
        )
        for stride in (16, 8)
        for coding in ("fixed", "table", "context")
        for number, kind in enumerate(kinds)
    ]


def flip(data: bytes, rng: Rng) -> bytes:
    """Flip bits at a rate of 1 in 10,000 to 1 in 50."""
    rate = 10 ** rng.uniform(-4, -1.7)
    noise = np.packbits(rng.random(8 * len(data)) < rate)
    return (np.frombuffer(data, np.uint8) ^ noise).tobytes()


def one_bit(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(8 * len(data)))
    return data[: at >> 3] + bytes([data[at >> 3] ^ 1 << (at & 7)]) + data[(at >> 3) + 1 :]


def stride_bit(data: bytes, rng: Rng) -> bytes:
    """The bit of the stride, where the first packet has it if nothing was moved."""
    return data[:5] + bytes(byte ^ 0x80 for byte in data[5:6]) + data[6:]


def cut(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data)))
    return data[at:] if rng.random() < 0.5 else data[:at]


def insert(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 60))) + data[at:]


def delete(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data)))
    return data[:at] + data[at + int(rng.integers(1, 60)) :]


def zero(data: bytes, rng: Rng) -> bytes:
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 60))
    return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


def burst(data: bytes, rng: Rng) -> bytes:
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 60))
    return data[:at] + rng.bytes(len(data[at : at + size])) + data[at + size :]


def no_head(data: bytes, rng: Rng) -> bytes:
    size = int(rng.integers(1, 17))
    return rng.bytes(size) + data[size:]


def repeat(data: bytes, rng: Rng) -> bytes:
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 100))
    return data[:at] + data[at : at + size] + data[at:]


BYTES = [flip, one_bit, cut, insert, delete, zero, burst, no_head, repeat, stride_bit]


def handle(original: Original, rng: Rng) -> bytes:
    """What happens to packets as such: drop, repeat, shuffle, garbage in between, magic or not."""
    packets = list(original.packets)
    if rng.random() < 0.5:
        packets = [packet for packet in packets if rng.random() < 0.7]
    if rng.random() < 0.4:
        packets += [packets[int(rng.integers(len(packets)))] for _ in packets[:3]]
    if rng.random() < 0.5:
        packets = [packets[place] for place in rng.permutation(len(packets))]
    if rng.random() < 0.5:
        packets = [packet + rng.bytes(int(rng.integers(30))) for packet in packets]
    head = original.data[:4] if rng.random() < 0.5 else rng.bytes(int(rng.integers(40)))
    return head + b"".join(packets)


def damage(original: Original, rng: Rng) -> bytes:
    data = handle(original, rng) if rng.random() < 0.6 else original.data
    for _ in range(int(rng.integers(4))):
        data = BYTES[int(rng.integers(len(BYTES)))](data, rng) if data else data
    return data


def receive(data: bytes) -> tuple[Salvage, np.ndarray]:
    """Salvage, drop what is no payload, rebuild, decode; ChecksumError where nothing is known."""
    found = salvage(data)
    header, bad = found.header, set()
    known = {index: found.payloads[index] for index in found.payloads}
    read: Callable[[dict[int, bytes]], np.ndarray] = lambda payloads: decode_index_map(  # noqa: E731
        [payloads.get(index) for index in range(header.n_packets)],
        header,
        *tables(header.coding, header.tier),
        on_bad=lambda index, error: bad.add(index),
        uncertain=found.uncertain,
    )
    indices = read(known)
    sure = {index: payload for index, payload in known.items() if index not in bad}
    rebuilt = fec.recover(header, sure)
    if set(rebuilt) - set(sure):
        indices = read(rebuilt)
    if (indices == LOST).all():
        raise ChecksumError("nothing is known")
    return found, indices


def check(data: bytes, candidates: list[Original], counts: Counter[str]) -> None:
    """Read damaged bytes: a VqcError, or indices of which none is wrong."""
    (original, *_), first = candidates, candidates[0].header
    there = [index for index, packet in enumerate(original.packets) if packet in data]
    counts[f"{first.coding} packets there"] += len(there)
    counts[f"{first.coding} files"] += 1
    try:
        found, indices = receive(data)
    except VqcError:
        assert first.coding != "fixed" or not set(there) - empty(first), "overlooked"
        return
    (mine,) = [each for each in candidates if each.header == found.header]
    is_known = indices != LOST
    assert (indices[is_known] == mine.indices[is_known]).all(), "a wrong index"
    size = sum(packet.size_bytes for packet in (*found.packets, *found.damaged))
    assert size + found.n_foreign_bytes <= len(data)
    assert min(found.n_foreign_bytes, found.n_duplicates) >= 0
    if len(candidates) == 1:
        assert first.coding != "fixed" or set(there) <= set(found.payloads), "overlooked"
        counts[f"{first.coding} packets found"] += len(found.packets)
        counts[f"{first.coding} files with a picture"] += 1
        counts[f"{first.coding} files whole"] += bool(is_known.all())
        counts[f"{first.coding} packets overlooked"] += len(set(there) - set(found.payloads))


def empty(header: Header) -> set[int]:
    """Packets that alone make no picture: without positions, or parity."""
    return {
        index for index in range(256) if index >= header.n_packets or not header.num_indices(index)
    }


@pytest.mark.parametrize("part", range(SLICES))
def test_damage_loses_packets_but_never_tells_a_wrong_index(part, originals) -> None:
    counts: Counter[str] = Counter()
    for number in range(part, N_CASES, SLICES):
        rng = np.random.default_rng([20261121, number])
        original = originals[int(rng.integers(len(originals)))]
        data, candidates = damage(original, rng), [original]
        if rng.random() < 0.1:
            other = originals[int(rng.integers(len(originals)))]
            if other is not original:
                data, candidates = data + damage(other, rng), [original, other]
        try:
            check(data, candidates, counts)
        except Exception as error:
            raise AssertionError(f"case {number}: {error}") from error
    print(f"\npart {part}: " + ", ".join(f"{name} {counts[name]}" for name in sorted(counts)))


@pytest.mark.parametrize("coding", ["fixed", "table", "context"])
def test_a_whole_file_is_salvaged_as_it_is(coding, originals) -> None:
    for original in originals:
        if original.header.coding == coding:
            found, indices = receive(original.data)
            assert (found.header, found.damaged, found.uncertain) == (original.header, (), set())
            assert (found.n_duplicates, found.n_foreign_bytes) == (0, 0)
            assert (indices == original.indices).all()


def test_a_huge_size_in_damaged_bytes_takes_no_memory() -> None:
    huge = Header(9, "table", 256, 0, 65535, 65535)
    data = b"noise" + container.write(huge, [b"x"] * 256)[4:] + bytes(1000)
    tracemalloc.start()
    salvage(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
