"""Golden files decode for ever; bad ones are refused by name, by both decoders."""

from __future__ import annotations

import hashlib
import json
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.golden import make
from tests.reference import decoder
from vqcodec import errors, fec
from vqcodec.bitstream import container
from vqcodec.packs import store
from vqcodec.payload import decode_index_map
from vqcodec.verification import verify

V1 = Path(__file__).parent / "v1"
GOOD = sorted(V1.glob("*.json"))
STEM = attrgetter("stem")
BAD = sorted((V1 / "bad").glob("*.vqc"))


class Tables:
    """What a pack's files are read with, by both decoders."""

    def __init__(self, folder: Path) -> None:
        self.pack = store.load(folder)
        tiers = [entry.tier for entry in self.pack.manifest.tiers]
        self.frequencies = {tier: self.pack.frequencies(tier).tolist() for tier in tiers}
        tensors = load_file(folder / "weights.safetensors")
        network = {
            key.removeprefix("context."): value
            for key, value in tensors.items()
            if key.startswith("context.")
        }
        self.networks = {
            tier: decoder.Network(network, tensors[f"tier.{tier}.codewords"], tier)
            for tier in (tiers if network else ())
        }

    def read(self, data: bytes) -> np.ndarray:
        parsed = container.parse(data)
        payloads, header = parsed.payloads(), parsed.header
        header.check_stride(self.pack.manifest.stride, self.pack.name)
        return decode_index_map(payloads, header, *self.pack.tables(header.tier, header.coding))

    def read_by_document(self, data: bytes, *, is_lossy: bool = False) -> list[list[int]]:
        stride, tables = self.pack.manifest.stride, (self.frequencies, self.networks)
        return decoder.decode(data, *tables, stride=stride, is_lossy=is_lossy)[1]


@pytest.fixture(scope="module")
def tables() -> dict[str, Tables]:
    return {folder.name: Tables(folder) for folder in (make.TINY, make.TINY_CONTEXT, make.TINY_F8)}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_valid_files_give_their_index_map(path, tables) -> None:
    facts, data = json.loads(path.read_text()), path.with_suffix(".vqc").read_bytes()
    mine = tables[Path(facts["tables"]).name]
    assert hashlib.sha256(data).hexdigest() == facts["file_sha256"]
    parsed = container.parse(data)
    header = parsed.header
    for field in ("tier", "coding", "n_packets", "width", "height"):
        assert getattr(header, field) == facts[field]
    assert header.stride == facts.get("stride", 16)
    indices = mine.read(data)
    assert make.map_digest(indices) == facts["index_map_sha256"]
    assert verify(data, model=mine.pack.path) == []
    assert mine.read_by_document(data) == indices.tolist()


@pytest.mark.parametrize("path", [p for p in GOOD if p.stem.startswith("fec-")], ids=STEM)
def test_both_decoders_rebuild_what_is_lost(path, tables) -> None:
    facts, data = json.loads(path.read_text()), path.with_suffix(".vqc").read_bytes()
    mine, parsed = tables[Path(facts["tables"]).name], container.parse(data)
    header, tiers_tables = parsed.header, (parsed.header.tier, parsed.header.coding)
    n_packets, n_parity = facts["n_packets"], facts["n_parity"]
    assert parsed.n_parity == n_parity
    assert len(parsed.packets) == n_packets + n_parity
    whole = parsed.payloads()
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(n_packets + n_parity)
        lost = set(np.sort(order)[:n_parity][:30] if seed == 0 else order[:n_parity][:30])
        kept = [packet for packet in parsed.packets if packet.index not in lost]
        rebuilt = fec.recover(header, {packet.index: packet.payload for packet in kept})
        assert [rebuilt[index] for index in range(n_packets)] == whole
        indices = decode_index_map(whole, header, *mine.pack.tables(*tiers_tables))
        assert make.map_digest(indices) == facts["index_map_sha256"]
        rest = data[:4] + b"".join(
            data[packet.offset : packet.offset + packet.size_bytes] for packet in kept
        )
        assert mine.read_by_document(rest, is_lossy=True) == indices.tolist()


@pytest.mark.parametrize("fields", make.VALID, ids=lambda fields: fields[0])
def test_the_encoder_still_writes_the_same_bytes(fields) -> None:
    data, _ = make.valid_file(*fields[1:])
    assert data == (V1 / f"{fields[0]}.vqc").read_bytes()


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused_by_name(path, tables) -> None:
    data, name = path.read_bytes(), path.stem.split("-")[0]
    kind = next((kind for kind in ("context", "f8") if f"-{kind}-" in path.stem), None)
    mine = tables[f"tiny-{kind}" if kind else "tiny"]
    with pytest.raises(getattr(errors, name)) as caught:
        mine.read(data)
    assert type(caught.value).__name__ == name
    assert verify(data, model=mine.pack.path) != []
    with pytest.raises(decoder.RefusedError, match=name):
        mine.read_by_document(data)


def test_the_sentences_about_bad_files_are_written_down() -> None:
    told = json.loads((V1 / "bad" / "messages.json").read_text())
    assert told == make.refusals()
    assert told.keys() == {path.name for path in BAD}


def test_there_are_golden_files() -> None:
    assert len(GOOD) == len(make.VALID)
    assert {path.stem for path in BAD} == set(make.bad_files())
