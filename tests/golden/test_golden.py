"""Golden files decode for ever; bad ones are refused by name, by both decoders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.golden import make
from tests.reference import decoder
from vqcodec import errors
from vqcodec.bitstream import container
from vqcodec.packs import store
from vqcodec.payload import decode_index_map
from vqcodec.verification import verify

V1 = Path(__file__).parent / "v1"
GOOD = sorted(V1.glob("*.json"))
BAD = sorted((V1 / "bad").glob("*.vqc"))


@pytest.fixture(scope="module")
def tables() -> dict[int, np.ndarray]:
    pack = store.load(make.TINY)
    return {entry.tier: pack.frequencies(entry.tier) for entry in pack.manifest.tiers}


def read(data: bytes, tables: dict[int, np.ndarray]) -> np.ndarray:
    parsed = container.parse(data)
    return decode_index_map(parsed.payloads(), parsed.header, tables[parsed.header.tier])


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_valid_files_give_their_index_map(path, tables) -> None:
    facts, data = json.loads(path.read_text()), path.with_suffix(".vqc").read_bytes()
    assert hashlib.sha256(data).hexdigest() == facts["file_sha256"]
    parsed = container.parse(data)
    header = parsed.header
    for field in ("tier", "coding", "n_packets", "width", "height"):
        assert getattr(header, field) == facts[field]
    indices = decode_index_map(parsed.payloads(), header, tables[header.tier])
    assert make.map_digest(indices) == facts["index_map_sha256"]
    assert verify(data, model=make.TINY) == []
    _, rows = decoder.decode(data, {header.tier: tables[header.tier].tolist()})
    assert rows == indices.tolist()


@pytest.mark.parametrize("fields", make.VALID, ids=lambda fields: fields[0])
def test_the_encoder_still_writes_the_same_bytes(fields) -> None:
    data, _ = make.valid_file(*fields[1:])
    assert data == (V1 / f"{fields[0]}.vqc").read_bytes()


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused_by_name(path, tables) -> None:
    data, name = path.read_bytes(), path.stem.split("-")[0]
    with pytest.raises(getattr(errors, name)) as caught:
        read(data, tables)
    assert type(caught.value).__name__ == name
    assert verify(data, model=make.TINY) != []
    with pytest.raises(decoder.RefusedError, match=name):
        decoder.decode(data, {tier: table.tolist() for tier, table in tables.items()})


def test_there_are_golden_files() -> None:
    assert len(GOOD) == len(make.VALID)
    assert {path.stem for path in BAD} == set(make.bad_files())
