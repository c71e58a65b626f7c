"""An index map to one payload per packet, and back: dealing, then coding.

FORMAT.md sections 5 to 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.packets import Header
from vqcodec.entropy import fixedlength, rangecoder
from vqcodec.errors import FormatError
from vqcodec.indices.scan import packet_positions

Frequencies = NDArray[np.uint16]

_ENCODERS: dict[str, Callable[[NDArray[np.int32], Frequencies], bytes]] = {
    "fixed": lambda symbols, table: fixedlength.encode(symbols, len(table)),
    "table": rangecoder.encode,
}
_DECODERS: dict[str, Callable[[bytes, int, Frequencies], NDArray[np.int32]]] = {
    "fixed": lambda payload, n, table: fixedlength.decode(payload, n, len(table)),
    "table": rangecoder.decode,
}


def encode_index_map(
    indices: NDArray[np.int32], header: Header, frequencies: Frequencies
) -> list[bytes]:
    """Code an index map in the header's coding mode.

    Args:
        indices: (h, w) values in [0, K), of the header's map size.
        header: of the file to be written.
        frequencies: (K,) the tier's table.

    Returns:
        One payload per packet, by packet index.

    Raises:
        ValueError: map, header and table do not belong together.
    """
    if (
        indices.shape != (header.map_height, header.map_width)
        or len(frequencies) != header.codebook_size
    ):
        raise ValueError(f"map {indices.shape} and table of {len(frequencies)} do not fit {header}")
    flat = indices.astype(np.int32, copy=False).ravel()
    encode = _ENCODERS[header.coding]
    return [encode(flat[positions], frequencies) for positions in _positions(header)]


def decode_index_map(
    payloads: Sequence[bytes], header: Header, frequencies: Frequencies
) -> NDArray[np.int32]:
    """Decode all payloads of a file.

    Args:
        payloads: one per packet, by packet index.
        header: of the file.
        frequencies: (K,) the tier's table.

    Returns:
        (h, w) int32 values in [0, K).

    Raises:
        FormatError: a payload is not one that an encoder writes.
    """
    if len(frequencies) != header.codebook_size:
        raise ValueError(f"table of {len(frequencies)} does not fit {header}")
    flat = np.empty(header.map_height * header.map_width, np.int32)
    decode = _DECODERS[header.coding]
    for index, (payload, positions) in enumerate(zip(payloads, _positions(header), strict=True)):
        try:
            flat[positions] = decode(payload, len(positions), frequencies)
        except FormatError as error:
            raise type(error)(
                f"packet {index}: {error.message}; get the file again", **error.details
            ) from error
    return flat.reshape(header.map_height, header.map_width)


def _positions(header: Header) -> list[NDArray[np.int64]]:
    return packet_positions(header.map_height, header.map_width, header.n_packets, header.row_step)
