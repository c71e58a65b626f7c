"""The payloads of all packets of a file in coding mode 2, decoded side by side.

A wave of the map is predicted for all packets together; each packet's symbols then come from its
own payload. Packets that are lost, or turn out to be bad on the way, leave the others alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from vqcodec.entropy.lengths import check_length
from vqcodec.entropy.rangecoder import CellDecoder
from vqcodec.errors import FormatError


class SideBySide:
    """Decoders of P packets.

    Attributes:
        is_alive: (P,) whether a packet is there and nothing was wrong with it so far.

    Args:
        payloads: one per packet; None where it is lost.
        counts: indices of each packet.
        uncertain: packets whose payload's length must fit, see `check_length`.
        on_bad: called with a packet's number and what is wrong with its payload.
    """

    def __init__(
        self,
        payloads: Sequence[bytes | None],
        counts: Sequence[int],
        uncertain: Collection[int],
        on_bad: Callable[[int, FormatError], None],
    ) -> None:
        self.is_alive = np.zeros(len(payloads), np.bool_)
        self._counts, self._on_bad = counts, on_bad
        self._decoders: dict[int, CellDecoder] = {}
        self._doubted: dict[int, tuple[bytes, float]] = {}  # with the bits of its symbols so far
        for packet, payload in enumerate(payloads):
            if payload is None:
                continue
            try:
                self._decoders[packet] = CellDecoder(payload, counts[packet])
            except FormatError as error:
                on_bad(packet, error)
                continue
            self.is_alive[packet] = True
            if packet in uncertain:
                self._doubted[packet] = payload, 0.0

    def decode(self, packets: NDArray[np.int32], rows: NDArray[np.float64]) -> NDArray[np.int32]:
        """Decode the next symbols.

        Args:
            packets: (n,) of each symbol, ascending; all alive.
            rows: (n, K + 2) as for `CellDecoder.decode`.

        Returns:
            (n,) symbols in [0, K); 0 where a packet has turned out to be bad.
        """
        symbols = np.zeros(len(packets), np.int32)
        borders = [0, *(np.flatnonzero(np.diff(packets)) + 1).tolist(), len(packets)]
        for begin, end in itertools.pairwise(borders):
            packet = int(packets[begin])
            try:
                found = self._decoders[packet].decode(rows[begin:end])
            except FormatError as error:
                self._give_up(packet, error)
                continue
            symbols[begin:end] = found
            if packet in self._doubted:
                payload, bits = self._doubted[packet]
                sizes = rows[np.arange(begin, end), found + 1] + 1
                self._doubted[packet] = payload, bits + float((24 - np.log2(sizes)).sum())
        return symbols

    def finish(self) -> None:
        """Compare lengths once all symbols are decoded."""
        for packet, (payload, bits) in self._doubted.items():
            if self.is_alive[packet]:
                try:
                    check_length(payload, self._counts[packet], bits)
                except FormatError as error:
                    self._give_up(packet, error)

    def _give_up(self, packet: int, error: FormatError) -> None:
        self.is_alive[packet] = False
        self._on_bad(packet, error)
