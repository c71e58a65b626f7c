"""Write what is read of damaged files, for a second decoder: `python -m tests.golden.make_damaged`.

Golden files with seeded damage of every kind, each as splices of the golden, and what `receive`
makes of it: sha256 of the index map (lost indices as 65535), of what `copy_neighbours` makes of
that where something is lost, and losses, or the error. The page's decoder is held to it, search for
packets included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden.make import HERE, map_digest
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAX_PIXELS
from vqcodec.bitstream.packets import write_packet
from vqcodec.errors import VqcError
from vqcodec.indices.concealment import copy_neighbours
from vqcodec.reception import receive

ROOT = HERE.parents[1]
FIXTURE = ROOT / "docs" / "viewer" / "tests" / "format" / "damaged.json"
FILES = (
    *("one-pixel-table", "tier1-picture", "tier9-noise", "packets-2", "packets-6-fixed"),
    *("packets-20", "context-one-pixel", "context-picture", "context-packets-4"),
    *("fec-2-1", "fec-table-10-3", "fec-context-6-2", "stride-8-context", "stride-8-fixed"),
    *("stride-8-context-packets-4", "fec-stride-8-6-3", "fec-stride-8-table-10-3"),
    *("fec-stride-8-context-4-2", "packets-256-tiny-map", "context-packets-256-tiny-map"),
    "fec-64-8-tiny-map",
)
WHOLE = ("photo-3/tier1", "photo-3/tier9")

Splice = tuple[int, int, str]  # at, bytes removed, bytes put there (hex)
Random = np.random.Generator


def flips(data: bytes, rng: Random) -> list[Splice]:
    """Turn a few bits."""
    places = np.unique(rng.integers(len(data), size=rng.integers(1, 12)))
    return [(int(at), 1, bytes([data[at] ^ 1 << int(rng.integers(8))]).hex()) for at in places]


def burst(data: bytes, rng: Random) -> list[Splice]:
    """Overwrite a stretch with noise."""
    size = int(rng.integers(1, 40))
    return [(int(rng.integers(len(data))), size, rng.bytes(size).hex())]


def cut(data: bytes, rng: Random) -> list[Splice]:
    """Take the end away."""
    return [(int(rng.integers(1, len(data))), len(data), "")]


def removal(data: bytes, rng: Random) -> list[Splice]:
    """Take one or two stretches out."""
    places = np.sort(rng.integers(len(data), size=rng.integers(1, 3)))
    return [(int(at), int(rng.integers(1, 60)), "") for at in places[:1]]


def insertion(data: bytes, rng: Random) -> list[Splice]:
    """Put noise between."""
    return [(int(rng.integers(len(data) + 1)), 0, rng.bytes(int(rng.integers(1, 50))).hex())]


def heads(data: bytes, rng: Random) -> list[Splice]:
    """Hit the heads of packets, with a bit or more in each."""
    splices = []
    for packet in container.parse(data).packets[:24]:
        if rng.random() < 0.6:
            at = packet.offset + int(rng.integers(11))
            splices.append((at, 1, bytes([data[at] ^ int(rng.integers(1, 256))]).hex()))
    return splices


def drops(data: bytes, rng: Random) -> list[Splice]:
    """Leave whole packets out, and often the magic."""
    packets = container.parse(data).packets
    gone = [packet for packet in packets if rng.random() < rng.choice([0.1, 0.3, 0.7])]
    splices = [(packet.offset, packet.size_bytes, "") for packet in gone]
    return splices if rng.random() < 0.5 else [(0, 4, ""), *splices]


def shuffle(data: bytes, rng: Random) -> list[Splice]:
    """Change the order of packets, with some there twice and a few flips on top."""
    packets = container.parse(data).packets
    order = rng.integers(len(packets), size=len(packets))
    pieces = [data[p.offset : p.offset + p.size_bytes] for p in (packets[i] for i in order)]
    mixed = bytearray(b"".join(pieces)[:700])
    for at in rng.integers(len(mixed), size=rng.integers(3)):
        mixed[at] ^= 1 << int(rng.integers(8))
    return [(0, len(data), bytes(mixed).hex())]


def forgery(data: bytes, rng: Random) -> list[Splice]:
    """Change payloads, and their checksums with them."""
    parsed, splices = container.parse(data), []
    for packet in parsed.packets:
        if packet.payload and rng.random() < 0.3:
            payload = bytearray(packet.payload)
            payload[rng.integers(len(payload))] ^= int(rng.integers(1, 256))
            longer = bytes(
                payload[: rng.integers(len(payload) + 1)] if rng.random() < 0.3 else payload
            )
            written = write_packet(parsed.header, packet.index, longer)
            splices.append((packet.offset, packet.size_bytes, written.hex()))
    return splices[:6]


def neighbour(data: bytes, rng: Random) -> list[Splice]:
    """Put another file before or behind, cut or not."""
    other = (HERE / "v1" / f"{rng.choice(['packets-2', 'fec-2-1', 'one-pixel'])}.vqc").read_bytes()
    return [(int(rng.choice([0, len(data)])), 0, other[int(rng.choice([0, 4, 9])) :].hex())]


KINDS: dict[str, tuple[Callable[[bytes, Random], list[Splice]], int]] = {
    "flips": (flips, 3),
    "burst": (burst, 2),
    "cut": (cut, 2),
    "removal": (removal, 2),
    "insertion": (insertion, 2),
    "heads": (heads, 3),
    "drops": (drops, 3),
    "shuffle": (shuffle, 1),
    "forgery": (forgery, 2),
    "neighbour": (neighbour, 1),
}


def spliced(data: bytes, splices: list[Splice]) -> bytes:
    """Damage a file, from its end to its beginning; places are those of the whole file."""
    for at, size, put in sorted(splices, reverse=True):
        data = data[:at] + bytes.fromhex(put) + data[at + size :]
    return data


def outcome(data: bytes, model: Path) -> dict[str, Any]:
    """What is read of any bytes."""
    try:
        received = receive(data, model=model, max_pixels=MAX_PIXELS)
    except VqcError as error:
        return {"error": type(error).__name__, "message": error.message}
    losses, indices = received.losses, received.indices
    return {
        "map": map_digest(indices)[:16],
        "told": losses.describe(),
        "missing": list(losses.missing),
        "counts": [losses.n_rebuilt, losses.n_damaged, losses.n_foreign_bytes, losses.n_erased],
        "is_whole": losses.is_whole,
        **({"filled": map_digest(copy_neighbours(indices))[:16]} if losses.n_erased else {}),
    }


def cases() -> Iterator[dict[str, Any]]:
    """Every golden with every kind of damage, and some whole."""
    for name in WHOLE:
        data, model = (HERE / f"{name}.vqc").read_bytes(), ROOT / "models" / "photo-3"
        yield {"file": name, "pack": "models/photo-3", "splices": [], **outcome(data, model)}
    for number, name in enumerate(FILES):
        data = (HERE / "v1" / f"{name}.vqc").read_bytes()
        pack = json.loads((HERE / "v1" / f"{name}.json").read_text())["tables"]
        for kind, (damage, times) in enumerate(KINDS.values()):
            for turn in range(times):
                splices = damage(data, np.random.default_rng([number, kind, turn]))
                told = outcome(spliced(data, splices), ROOT / pack)
                yield {"file": f"v1/{name}", "pack": pack, "splices": splices, **told}


def main() -> None:
    """Write the fixture."""
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases())
    FIXTURE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
