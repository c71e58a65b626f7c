"""Files, streams and pictures that the tests of this folder share."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vqcodec.bitstream import container

TESTS = Path(__file__).parents[2]
V1 = TESTS / "golden" / "v1"
PICTURE = V1 / "tier8-picture.vqc"


def stream(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


def bytes_of(name: str) -> bytes:
    return (V1 / f"{name}.vqc").read_bytes()


def without(data: bytes, *lost: int) -> bytes:
    """The file without some of its packets, by their place."""
    found = container.parse(data).packets
    kept = [packet for number, packet in enumerate(found) if number not in lost]
    spans = [data[packet.offset : packet.offset + packet.size_bytes] for packet in kept]
    return data[:4] + b"".join(spans)


def picture(mode: str = "RGB") -> Image.Image:
    ramp = np.arange(48 * 33 * 3, dtype=np.uint32).reshape(48, 33, 3) * 5
    return Image.fromarray((ramp % 251).astype(np.uint8)).convert(mode)
