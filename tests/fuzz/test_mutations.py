"""Hostile bytes: only success or a VqcError, in bounded time and memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header, write_packet
from vqcodec.entropy.context import ContextModel
from vqcodec.errors import FormatError, ModelMismatchError, VqcError
from vqcodec.inspection import describe
from vqcodec.packs import store
from vqcodec.payload import decode_index_map
from vqcodec.verification import verify

PACKS = Path(__file__).parents[1] / "packs"
V1 = Path(__file__).parents[1] / "golden" / "v1"
SMALL = ["one-pixel", "one-pixel-table", "packets-2", "tier9-noise"]
SMALL += ["context-one-pixel", "context-tall", "stride-8-two-squares"]

Tables = dict[int, tuple[np.ndarray, ContextModel | None]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    """All that any mode needs: frequencies of the tiny pack, models of the one that has some."""
    tiny, other = store.load(PACKS / "tiny"), store.load(PACKS / "tiny-context")
    having = {entry.tier for entry in other.manifest.tiers}
    return {
        entry.tier: (
            tiny.frequencies(entry.tier),
            other.context(entry.tier) if entry.tier in having else None,
        )
        for entry in tiny.manifest.tiers
    }


def read(data: bytes, tables: Tables) -> np.ndarray:
    parsed = container.parse(data)
    payloads, header = parsed.payloads(), parsed.header
    frequencies, context = tables[header.tier]
    if header.coding == "context" and context is None:
        raise ModelMismatchError("as a pack says it")
    return decode_index_map(payloads, header, frequencies, context)


@pytest.mark.parametrize("name", SMALL)
def test_every_truncation_is_refused(name, tables) -> None:
    data = (V1 / f"{name}.vqc").read_bytes()
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read(data[:size], tables)


@pytest.mark.parametrize("name", SMALL)
def test_every_flipped_bit_is_refused(name, tables) -> None:
    data = (V1 / f"{name}.vqc").read_bytes()
    kind = {"context": "-context", "stride": "-f8"}.get(name.split("-")[0], "")
    pack = PACKS / f"tiny{kind}"
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(FormatError):
            read(bytes(damaged), tables)
        assert verify(bytes(damaged), model=pack) != []


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip, cut, insert, repeat, splice or tell another stride, once to four times."""
    for _ in range(rng.integers(1, 5)):
        at, kind = int(rng.integers(len(data) + 1)), rng.integers(6)
        length = int(rng.integers(1, 20))
        if kind == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + length :]
        elif kind == 2:
            data = data[:at] + rng.bytes(length) + data[at:]
        elif kind == 3:
            data = data[:at] + data[at : at + length] + data[at:]
        elif kind == 4:
            data = data[:5] + bytes(byte ^ 0x80 for byte in data[5:6]) + data[6:]
        else:
            data = data[:at] + data[4:at]
    return data


def test_three_thousand_mutations_give_an_image_or_a_named_error(tables) -> None:
    rng = np.random.default_rng(20261121)
    seeds = [path.read_bytes() for path in sorted(V1.glob("*.vqc")) if path.stat().st_size < 2000]
    for number in range(3000):
        data = mutate(seeds[number % len(seeds)], rng)
        try:
            describe(data)
            read(data, tables)
        except VqcError:
            continue
        assert data in seeds, "a changed file passed as whole"


def test_valid_checksums_over_random_payloads_never_crash(tables) -> None:
    rng = np.random.default_rng(7)
    for _ in range(1000):
        tier, coding = int(rng.integers(1, 7)), ("fixed", "table", "context")[rng.integers(3)]
        stride = int(rng.choice([16, 8]))
        width, height = rng.integers(1, 25 * stride, 2).tolist()
        header = Header(tier, coding, 1, 0, width, height, stride)
        data = MAGIC + write_packet(header, 0, rng.bytes(int(rng.integers(0, 200))))
        try:
            indices = read(data, tables)
        except VqcError:
            continue
        assert indices.max() < header.codebook_size


@pytest.mark.parametrize("name", ["context-picture", "context-packets-4", "context-wide"])
def test_changed_payloads_with_right_checksums_never_crash(name, tables) -> None:
    """What is behind the checksum, which lets none of the mutations above through."""
    rng = np.random.default_rng(11)
    parsed = container.parse((V1 / f"{name}.vqc").read_bytes())
    payloads, header = parsed.payloads(), parsed.header
    n_read = 0
    for _ in range(100):
        changed = [mutate(payload, rng) for payload in payloads]
        packets = [write_packet(header, index, part) for index, part in enumerate(changed)]
        try:
            indices = read(MAGIC + b"".join(packets), tables)
        except VqcError:
            continue
        n_read += 1
        assert 0 <= indices.min() <= indices.max() < header.codebook_size
    assert n_read, "nothing got as far as the decoder's end"


def test_a_file_full_of_prefixes_costs_no_more_than_its_packets() -> None:
    header = Header(1, "fixed", 256, 0, 1, 1)
    with pytest.raises(FormatError, match="another packet"):
        container.parse(MAGIC + write_packet(header, 0, b"") * 100_000)


@pytest.mark.parametrize("stride", [16, 8])
def test_a_huge_size_in_a_small_file_takes_no_memory_before_the_limit(stride) -> None:
    from vqcodec.codec import decode
    from vqcodec.errors import LimitError

    data = container.write(Header(9, "fixed", 1, 0, 65535, 65535, stride), [b"x"])
    tracemalloc.start()
    describe(data)
    with pytest.raises(LimitError, match="65535x65535"):
        decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_verify_does_not_run_the_context_model_for_a_huge_size_either() -> None:
    from vqcodec.errors import LimitError

    pack = PACKS / "tiny-context"
    header = Header(6, "context", 1, store.load(pack).weights_id, 65535, 65535)
    data = container.write(header, [b"x"])
    with pytest.raises(LimitError, match="65535x65535"):
        verify(data, model=pack)
    small = container.write(Header(6, "context", 1, header.weights_id, 100, 100), [b"x"])
    with pytest.raises(LimitError, match="100x100 is more than 9,999 pixels"):
        verify(small, model=pack, max_pixels=9999)
    assert isinstance(verify(small, model=pack, max_pixels=10_000), list)


@pytest.mark.parametrize("coding", ["fixed", "table"])
def test_verify_takes_the_memory_of_many_indices_only_where_it_is_allowed(coding) -> None:
    from vqcodec.errors import LimitError
    from vqcodec.verification import MANY_INDICES

    pack = PACKS / "tiny-f8"
    header = Header(6, coding, 1, store.load(pack).weights_id, 65535, 65535, 8)
    assert header.map_height * header.map_width == 4 * MANY_INDICES
    tracemalloc.start()
    with pytest.raises(LimitError, match="65535x65535"):
        verify(container.write(header, [b""]), model=pack)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
