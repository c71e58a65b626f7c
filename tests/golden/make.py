"""Write the golden files of format version 1 that hang on no network: `python -m
tests.golden.make`.

Valid files: header, coding, layout and map of every kind, with the tables of `tests/packs/tiny`, in
coding mode "context" with those of `tests/packs/tiny-context`, of stride 8 with those of
`tests/packs/tiny-f8`.
Bad files: what a decoder must refuse, named after the error, and in `bad/messages.json` the
sentence with which it is refused, which our other decoders repeat. A golden of a released version
is never rewritten: a change shows as a difference in git, and needs a new format version. Sentences
may be bettered.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqcodec import fec
from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAX_PIXELS
from vqcodec.bitstream.packets import Header, write_packet
from vqcodec.errors import VqcError
from vqcodec.packs import store
from vqcodec.payload import encode_index_map
from vqcodec.reception import receive

HERE = Path(__file__).parent
TINY = HERE.parent / "packs" / "tiny"
TINY_CONTEXT = HERE.parent / "packs" / "tiny-context"
TINY_F8 = HERE.parent / "packs" / "tiny-f8"
MAGIC = bytes.fromhex("d6565143")


def map_digest(indices: NDArray[np.int32]) -> str:
    """sha256 of an index map as FORMAT.md section 12 has it."""
    return hashlib.sha256(indices.astype(">u2").tobytes()).hexdigest()


def example(header: Header, kind: str) -> NDArray[np.int32]:
    """A map that looks like a picture's (runs, a few rare words), one word all over, or noise."""
    size = header.codebook_size
    shape = (header.map_height, header.map_width)
    if kind == "constant":
        return np.full(shape, size - 1, np.int32)
    rng = np.random.default_rng([header.tier, *shape])
    noise = rng.integers(size, size=shape)
    if kind == "noise":
        return noise.astype(np.int32)
    rows, columns = np.indices(shape)
    waves = np.sin(rows / 3) * np.cos(columns / 5) + 1
    smooth = (waves * (size - 1) / 2).astype(int)
    return np.where(rng.random(shape) < 0.2, noise, smooth).astype(np.int32)


Fields = tuple[str, int, str, int | tuple[int, int], int, int, str]
# name, tier, coding, packets or (data packets, parity packets), width, height, map
STRIDE_16: list[Fields] = [
    ("one-pixel", 1, "fixed", 1, 1, 1, "noise"),
    ("one-pixel-table", 9, "table", 1, 1, 1, "noise"),
    ("tier1-picture", 1, "table", 1, 768, 512, "picture"),
    ("tier5-fixed", 5, "fixed", 1, 333, 77, "noise"),
    ("tier8-picture", 8, "table", 1, 200, 300, "picture"),
    ("tier9-noise", 9, "fixed", 1, 160, 96, "noise"),
    ("constant", 4, "table", 1, 1600, 16, "constant"),
    ("tall", 2, "fixed", 1, 1, 4000, "noise"),
    ("packets-2", 1, "table", 2, 70, 40, "picture"),
    ("packets-6-fixed", 7, "fixed", 6, 250, 130, "noise"),
    ("packets-20", 4, "table", 20, 768, 512, "picture"),
    ("packets-256-tiny-map", 3, "table", 256, 50, 90, "picture"),
    ("context-one-pixel", 1, "context", 1, 1, 1, "noise"),
    ("context-picture", 5, "context", 1, 333, 210, "picture"),
    ("context-constant", 3, "context", 1, 768, 512, "constant"),
    ("context-tall", 2, "context", 1, 1, 1500, "noise"),
    ("context-wide", 4, "context", 1, 1500, 17, "picture"),
    ("context-packets-4", 6, "context", 4, 301, 199, "picture"),
    ("context-packets-20", 1, "context", 20, 768, 512, "picture"),
    ("context-packets-256-tiny-map", 3, "context", 256, 50, 90, "noise"),
    ("fec-2-1", 4, "fixed", (2, 1), 90, 50, "picture"),
    ("fec-2-253", 2, "fixed", (2, 253), 48, 32, "noise"),
    ("fec-20-4", 8, "fixed", (20, 4), 768, 512, "picture"),
    ("fec-64-8-tiny-map", 3, "fixed", (64, 8), 50, 90, "noise"),
    ("fec-table-10-3", 5, "table", (10, 3), 333, 210, "picture"),
    ("fec-context-6-2", 5, "context", (6, 2), 333, 210, "picture"),
]
STRIDE_8: list[Fields] = [
    ("stride-8-one-pixel", 1, "fixed", 1, 1, 1, "noise"),
    ("stride-8-two-squares", 1, "fixed", 1, 9, 1, "noise"),
    ("stride-8-fixed", 6, "fixed", 1, 333, 77, "noise"),
    ("stride-8-table", 5, "table", 1, 200, 301, "picture"),
    ("stride-8-table-packets-20", 4, "table", 20, 384, 256, "picture"),
    ("stride-8-tall", 2, "fixed", 1, 1, 4000, "noise"),
    ("stride-8-context", 5, "context", 1, 167, 105, "picture"),
    ("stride-8-context-packets-4", 6, "context", 4, 150, 99, "picture"),
    ("stride-8-packets-256-tiny-map", 3, "table", 256, 50, 90, "picture"),
    ("fec-stride-8-6-3", 6, "fixed", (6, 3), 250, 130, "picture"),
    ("fec-stride-8-table-10-3", 5, "table", (10, 3), 166, 105, "picture"),
    ("fec-stride-8-context-4-2", 3, "context", (4, 2), 166, 105, "picture"),
]
VALID = [(*fields, stride) for stride, all_ in ((16, STRIDE_16), (8, STRIDE_8)) for fields in all_]


def pack_folder(coding: str, stride: int = 16) -> Path:
    """Folder of the pack with which the files of a coding mode and stride are made."""
    if stride == 8:
        return TINY_F8
    return TINY_CONTEXT if coding == "context" else TINY


def valid_file(
    tier: int,
    coding: str,
    packets: int | tuple[int, int],
    width: int,
    height: int,
    kind: str,
    stride: int,
) -> tuple[bytes, str]:
    """A file and the digest of its map."""
    pack = store.load(pack_folder(coding, stride))
    n_packets, n_parity = packets if isinstance(packets, tuple) else (packets, 0)
    header = Header(tier, coding, n_packets, pack.weights_id, width, height, stride)
    indices = example(header, kind)
    payloads = encode_index_map(indices, header, *pack.tables(tier, coding))
    parity = fec.protect(payloads, n_parity) if n_parity else ()
    return container.write(header, payloads, parity), map_digest(indices)


def bad_files() -> dict[str, bytes]:
    """File name -> bytes, the name beginning with the error's class."""
    pack = store.load(TINY)
    header = Header(1, "fixed", 1, pack.weights_id, 64, 32)
    table = Header(1, "table", 1, pack.weights_id, 64, 32)
    two = Header(1, "fixed", 2, pack.weights_id, 64, 32)
    context = Header(1, "context", 1, store.load(TINY_CONTEXT).weights_id, 64, 32)
    f8_id = store.load(TINY_F8).weights_id
    finer = Header(1, "fixed", 1, f8_id, 64, 32, 8)
    payload = bytes([0b00101001, 0b11001011, 0b10111000])
    good = MAGIC + write_packet(header, 0, payload)

    def with_prefix(change: dict[int, int]) -> bytes:
        """The good file with bytes of its prefix replaced (the checksum then being wrong, too)."""
        data = bytearray(good)
        for offset, value in change.items():
            data[offset] = value
        return bytes(data)

    halves = [write_packet(two, index, b"\x29\xc0") for index in (0, 1)]
    parity = [write_packet(two, 2 + index, bytes([2, 41, 192 + index])) for index in range(3)]
    both = MAGIC + halves[0] + halves[1]
    finer_payload = payload * 4  # 8 x 4 squares of 3 bits
    finer_two = [write_packet(replace(finer, n_packets=2), index, payload * 2) for index in (0, 1)]
    return {
        "NotVqcError-png": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "NotVqcError-empty": b"",
        "NotVqcError-text-transfer": b"?VQC" + good[4:],
        "TruncatedError-magic": good[:3],
        "TruncatedError-prefix": good[:9],
        "TruncatedError-head": good[:14],
        "TruncatedError-packet-missing": MAGIC + halves[0],
        "TruncatedError-payload": MAGIC + write_packet(header, 0, payload[:2]),
        "ChecksumError-cut": good[:-1],
        "ChecksumError-payload-bit": good[:-1] + bytes([good[-1] ^ 1]),
        "ChecksumError-width": with_prefix({9: 65}),
        "VersionError-2": with_prefix({4: 0x21}),
        "VersionError-coding-3": with_prefix({5: 0x30}),
        "FormatError-tier-0": with_prefix({4: 0x10}),
        "FormatError-tier-13": with_prefix({4: 0x1D}),
        "FormatError-tier-15": with_prefix({4: 0x1F}),
        "FormatError-width-0": with_prefix({8: 0, 9: 0}),
        "FormatError-spare-bits": MAGIC
        + write_packet(Header(1, "fixed", 1, pack.weights_id, 16, 16), 0, b"\xa1"),
        "FormatError-payload-too-long": MAGIC + write_packet(header, 0, payload + b"\1"),
        "FormatError-table-ends-in-zero": MAGIC + write_packet(table, 0, b"\x12\0"),
        "FormatError-table-too-long": MAGIC + write_packet(table, 0, b"\x12" * 26),
        "FormatError-table-out-of-range": MAGIC + write_packet(table, 0, b"\xff" * 12),
        "FormatError-context-ends-in-zero": MAGIC + write_packet(context, 0, b"\x12\0"),
        "FormatError-context-too-long": MAGIC + write_packet(context, 0, b"\x12" * 26),
        "FormatError-context-unit-0": MAGIC + write_packet(context, 0, b""),
        "FormatError-context-above-all-cells": MAGIC + write_packet(context, 0, b"\xff" * 4),
        "FormatError-context-out-of-range": MAGIC + write_packet(context, 0, b"\xff" * 12),
        "FormatError-index": MAGIC + write_packet(header, 1, payload),
        "FormatError-packet-twice": MAGIC + halves[0] + halves[0],
        "FormatError-three-of-two": MAGIC + halves[0] + halves[1] + halves[1],
        "FormatError-parity-index": both + parity[0] + parity[1] + parity[2],
        "FormatError-parity-twice": both + parity[0] + parity[0],
        "FormatError-parity-none": both + write_packet(two, 2, b"\0\x29\xc0"),
        "FormatError-parity-empty": both + write_packet(two, 2, b""),
        "FormatError-parity-differs": both + parity[0] + write_packet(two, 3, b"\3\x29\xc0"),
        "FormatError-parity-too-long": both + write_packet(two, 2, b"\1\x29\xc0\0"),
        "FormatError-parity-too-short": both + write_packet(two, 2, b"\1\x29"),
        "FormatError-parity-too-many": both + write_packet(two, 2, b"\xfe\x29\xc0"),
        "FormatError-256-packets": both + parity[0] * 254,
        "TruncatedError-parity-missing": both + parity[1],
        "TruncatedError-parity-in-place-of-data": MAGIC + halves[0] + parity[0] + parity[1],
        "ChecksumError-parity": both + parity[0][:-1] + b"\0" + parity[1],
        "FormatError-stride-8-of-a-pack-of-16": MAGIC
        + write_packet(replace(header, stride=8), 0, finer_payload),
        "FormatError-f8-stride-16": MAGIC + write_packet(replace(finer, stride=16), 0, payload),
        "TruncatedError-f8-payload-of-stride-16": MAGIC + write_packet(finer, 0, payload),
        "TruncatedError-f8-packet-missing": MAGIC + finer_two[1],
        "FormatError-f8-payload-too-long": MAGIC + write_packet(finer, 0, finer_payload + b"\1"),
        "ChecksumError-f8-cut": (MAGIC + write_packet(finer, 0, finer_payload))[:-1],
        "ChecksumError-stride-bit": with_prefix({5: 0x80}),
        "VersionError-stride-8-coding-3": with_prefix({5: 0xB0}),
    }


def refusals() -> dict[str, dict[str, str]]:
    """What is said of each bad file: name -> the error's class and sentence."""
    told = {}
    for name, data in sorted(bad_files().items()):
        pack = TINY_CONTEXT if "-context-" in name else TINY_F8 if "-f8-" in name else TINY
        try:
            receive(data, model=pack, max_pixels=MAX_PIXELS, strict=True)
        except VqcError as error:
            told[f"{name}.vqc"] = {"error": type(error).__name__, "message": error.message}
    return told


def main() -> None:
    """Write everything below tests/golden/v1."""
    folder = HERE / "v1"
    (folder / "bad").mkdir(parents=True, exist_ok=True)
    for name, *fields in VALID:
        data, digest = valid_file(*fields)
        (folder / f"{name}.vqc").write_bytes(data)
        tier, coding, packets, width, height, _, stride = fields
        n_packets, *more = packets if isinstance(packets, tuple) else (packets,)
        facts = {
            **{
                "tier": tier,
                "coding": coding,
                "n_packets": n_packets,
                "width": width,
                "height": height,
            },
            **({"stride": stride} if stride != 16 else {}),
            **({"n_parity": more[0]} if more else {}),
            **{
                "tables": f"tests/packs/{pack_folder(coding, stride).name}",
                "index_map_sha256": digest,
            },
            "file_sha256": hashlib.sha256(data).hexdigest(),
        }
        (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    for name, data in bad_files().items():
        (folder / "bad" / f"{name}.vqc").write_bytes(data)
    (folder / "bad" / "messages.json").write_text(json.dumps(refusals(), indent=1) + "\n")


if __name__ == "__main__":
    main()
