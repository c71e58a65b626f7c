"""A `.vqc` file of random indices in several packets, for tests that look at packets alone."""

from __future__ import annotations

import random

from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header

WIDTH, HEIGHT = 640, 480


def payloads(header: Header, seed: int = 1) -> list[bytes]:
    """Payloads of fixed coding, padded with zero bits as the format asks."""
    draw = random.Random(seed)
    bits = (header.codebook_size - 1).bit_length()
    made = []
    for index in range(header.n_packets):
        n_bits = header.num_indices(index) * bits
        n_bytes = -(-n_bits // 8)
        made.append((draw.getrandbits(n_bits) << 8 * n_bytes - n_bits).to_bytes(n_bytes, "big"))
    return made


def vqc(n_packets: int = 20, *, weights_id: int = 0x1234, seed: int = 1) -> bytes:
    """A file of tier 3."""
    header = Header(3, "fixed", n_packets, weights_id, WIDTH, HEIGHT)
    return container.write(header, payloads(header, seed))
