"""Images made for tests, and reading with what must always hold."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from vqcodec.bitstream.layout import MAX_PIXELS
from vqcodec.pixels.files import read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(data: bytes, max_pixels: int = MAX_PIXELS):
    pixels, notes = read_image(data, max_pixels=max_pixels)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    return pixels, notes


def png(width, height, depth, colour_type, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG by hand, for what Pillow does not write; `rows` with their filter bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    middle = b"".join(chunk(body[:4], body[4:]) for body in chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + middle
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def gradient(height=24, width=40) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 6, y * 10, x + y], 2).astype(np.uint8))
