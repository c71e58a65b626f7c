"""An index map to one payload per packet, and back: dealing, then coding.

FORMAT.md sections 5 to 7A. Coding mode "context" walks over the map in waves; coding known indices,
decoding, and choosing indices with an eye on what they cost are one walk.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream.packets import Header
from vqcodec.entropy import fixedlength, rangecoder
from vqcodec.entropy.context import ContextModel, Space
from vqcodec.entropy.frequencies import ideal_bits
from vqcodec.entropy.lengths import check_length
from vqcodec.entropy.sidebyside import SideBySide
from vqcodec.errors import FormatError
from vqcodec.indices.scan import packet_map, packet_positions
from vqcodec.indices.waves import Walk

Frequencies = NDArray[np.uint16]

LOST: Final = -1
"""Stands in an index map at the positions of packets that are lost."""

_ENCODERS: dict[str, Callable[[NDArray[np.int32], Frequencies], bytes]] = {
    "fixed": lambda symbols, table: fixedlength.encode(symbols, len(table)),
    "table": rangecoder.encode,
}
_DECODERS: dict[str, Callable[[bytes, int, Frequencies], NDArray[np.int32]]] = {
    "fixed": lambda payload, n, table: fixedlength.decode(payload, n, len(table)),
    "table": rangecoder.decode,
}


def encode_index_map(
    indices: NDArray[np.int32],
    header: Header,
    frequencies: Frequencies,
    context: ContextModel | None = None,
) -> list[bytes]:
    """Code an index map in the header's coding mode.

    Args:
        indices: (h, w) values in [0, K), of the header's map size.
        header: of the file to be written.
        frequencies: (K,) the tier's table.
        context: the tier's context model, for coding mode "context".

    Returns:
        One payload per packet, by packet index.

    Raises:
        ValueError: map, header, table and model do not belong together.
    """
    if (
        indices.shape != (header.map_height, header.map_width)
        or len(frequencies) != header.codebook_size
    ):
        raise ValueError(f"map {indices.shape} and table of {len(frequencies)} do not fit {header}")
    flat = indices.astype(np.int32, copy=False).ravel()
    if header.coding == "context":
        return _encode_in_context(flat, header, _fitting(context, header))
    encode = _ENCODERS[header.coding]
    return [encode(flat[positions], frequencies) for positions in _positions(header)]


def decode_index_map(
    payloads: Sequence[bytes | None],
    header: Header,
    frequencies: Frequencies,
    context: ContextModel | None = None,
    *,
    on_bad: Callable[[int, FormatError], None] | None = None,
    uncertain: Collection[int] = (),
) -> NDArray[np.int32]:
    """Decode the payloads of a file, as far as they are there.

    Args:
        payloads: one per packet, by packet index; None where the packet is lost.
        header: of the file.
        frequencies: (K,) the tier's table.
        context: the tier's context model, for coding mode "context".
        on_bad: called with packet index and error for a payload that is not one that an encoder
            writes, whose packet then counts as lost; None raises the error.
        uncertain: indices of packets of which only the checksum tells where they end, as
            `salvage` says; their payloads are bad, too, if they are much longer or shorter than
            their indices should take. Has no meaning in fixed coding.

    Returns:
        (h, w) int32 values in [0, K), and -1 at the positions of lost packets.

    Raises:
        FormatError: a payload is not one that an encoder writes, and `on_bad` is None.
    """
    if len(frequencies) != header.codebook_size or len(payloads) != header.n_packets:
        raise ValueError(
            f"table of {len(frequencies)} and {len(payloads)} payloads do not fit {header}"
        )

    def give_up(index: int, error: FormatError) -> None:
        if on_bad is None:
            raise _in_packet(index, error) from error
        on_bad(index, _in_packet(index, error))

    if header.coding == "context":
        model = _fitting(context, header)
        return _decode_in_context(payloads, header, model, uncertain, give_up)
    flat = np.full(header.map_height * header.map_width, LOST, np.int32)
    decode, is_open = _DECODERS[header.coding], header.coding == "table"
    for index, (payload, positions) in enumerate(zip(payloads, _positions(header), strict=True)):
        if payload is None:
            continue
        try:
            symbols = decode(payload, len(positions), frequencies)
            if is_open and index in uncertain:
                check_length(payload, len(positions), ideal_bits(symbols, frequencies))
        except FormatError as error:
            give_up(index, error)
        else:
            flat[positions] = symbols
    return flat.reshape(header.map_height, header.map_width)


def choose_index_map(
    header: Header,
    context: ContextModel,
    choose: Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.int32]],
) -> NDArray[np.int32]:
    """Choose an index map wave by wave, knowing what each index would cost.

    Args:
        header: of the file to be written: one packet, coding "context".
        context: the tier's context model.
        choose: called with (n,) flat positions and the (n, K) sizes of their cells, given all
            choices before; returns (n,) indices in [0, K). Index i of a position costs
            24 - log2(sizes[i]) bits. The sizes last until the function returns. A wave of a large
            map may come in several calls.

    Returns:
        (h, w) int32 the choices, for `encode_index_map`.

    Raises:
        ValueError: header and model do not belong together.
    """
    if header.n_packets != 1 or header.coding != "context":
        raise ValueError(f"choosing needs one packet and coding 'context', not {header}")
    walk = _walk(header, _fitting(context, header))

    def chosen(span: slice, rows: NDArray[np.float64]) -> NDArray[np.int32]:
        rows += 1
        return choose(walk.positions[span], rows[:, 1:-1])

    return _run(walk, context, chosen)


def _run(
    walk: Walk,
    context: ContextModel,
    choose: Callable[[slice, NDArray[np.float64]], NDArray[np.int32]],
    *,
    is_known: bool = False,
) -> NDArray[np.int32]:
    """Walk over a map: predict a step, have its indices chosen, write them, go on."""
    space = Space(context.rows_at_once, context.size)
    for span in walk.spans(context.rows_at_once, is_known=is_known):
        walk.put(span, choose(span, context.rows(walk.neighbours(span), space)))
    return walk.index_map()


def _encode_in_context(
    flat: NDArray[np.int32], header: Header, context: ContextModel
) -> list[bytes]:
    walk = _walk(header, context)
    indices = flat[walk.positions]
    if indices.min() < 0 or indices.max() >= context.size:
        raise ValueError(f"symbols must lie in 0 to {context.size - 1}")
    walk.put(slice(None), indices)  # a neighbour is never of a later wave: all may stand there
    left, size = np.empty(len(indices)), np.empty(len(indices))

    def given(span: slice, rows: NDArray[np.float64]) -> NDArray[np.int32]:
        known = indices[span]
        left[span], size[span] = rangecoder.cells(rows, known)
        return known

    _run(walk, context, given, is_known=True)
    return [
        rangecoder.encode_cells(left[mine], size[mine])
        for mine in (walk.packets == index for index in range(header.n_packets))
    ]


def _decode_in_context(
    payloads: Sequence[bytes | None],
    header: Header,
    context: ContextModel,
    uncertain: Collection[int],
    give_up: Callable[[int, FormatError], None],
) -> NDArray[np.int32]:
    counts = [header.num_indices(index) for index in range(header.n_packets)]
    packets = SideBySide(payloads, counts, uncertain, give_up)
    walk, space = _walk(header, context), Space(context.rows_at_once, context.size)
    for span in walk.spans(context.rows_at_once):
        # What is lost is not predicted: no other packet looks at it.
        alive = np.flatnonzero(packets.is_alive[walk.packets[span]]) + span.start
        if len(alive):
            rows = context.rows(walk.neighbours(alive), space)
            walk.put(alive, packets.decode(walk.packets[alive], rows))
    packets.finish()
    walk.put(~packets.is_alive[walk.packets], LOST)
    return walk.index_map()


def _walk(header: Header, context: ContextModel) -> Walk:
    packets = packet_map(
        header.map_height, header.map_width, header.n_packets, header.row_step, header.block
    )
    return Walk(packets, context.offsets, context.size)


def _fitting(context: ContextModel | None, header: Header) -> ContextModel:
    if context is None or context.size != header.codebook_size:
        found = "none" if context is None else f"one of {context.size} words"
        raise ValueError(f"{header} needs a context model, not {found}")
    return context


def _in_packet(index: int, error: FormatError) -> FormatError:
    return type(error)(f"packet {index}: {error.message}; get the file again", **error.details)


def _positions(header: Header) -> list[NDArray[np.int64]]:
    return packet_positions(header.map_height, header.map_width, header.n_packets, header.row_step)
