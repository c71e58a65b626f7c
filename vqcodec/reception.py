"""What arrived of a file: any bytes to an index map in which -1 stands for what was lost.

A whole file takes the straight way. Of a damaged one the intact packets are found again, lost ones
are rebuilt from parity where enough packets are there, and only then payloads become indices
(FORMAT.md, sections 4A and 5A). No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header
from vqcodec.bitstream.salvage import salvage
from vqcodec.errors import ChecksumError, FormatError
from vqcodec.fec import recover
from vqcodec.packs import store
from vqcodec.payload import decode_index_map


@dataclass(frozen=True)
class Losses:
    """What was lost on the way, and what could be made good without guessing.

    Attributes:
        n_packets: data packets that the file had.
        n_rebuilt: of them, lost ones that the parity packets gave back.
        missing: of them, those that stay lost, ascending.
        n_damaged: places at which a packet stands that is not intact.
        n_foreign_bytes: bytes that belong to no packet.
        n_indices: positions of the index map.
        n_erased: of them, those whose index is lost.
        is_whole: whether the file is as it was written, parity packets included: `strict` takes it.
    """

    n_packets: int
    n_rebuilt: int
    missing: tuple[int, ...]
    n_damaged: int
    n_foreign_bytes: int
    n_indices: int
    n_erased: int
    is_whole: bool

    def describe(self) -> str:
        """Say it to people, in one line."""
        n_lost = self.n_rebuilt + len(self.missing)
        parts = [f"{n_lost} of {self.n_packets} packets lost"] if n_lost else []
        if self.n_rebuilt:
            parts.append(f"{self.n_rebuilt} of them rebuilt from parity")
        if not n_lost:
            parts.append("damaged, and nothing of the picture is lost")
        if self.n_erased:
            parts.append(f"{self.n_erased / self.n_indices:.1%} of the picture painted by guess")
        return ", ".join(parts)


@dataclass(frozen=True)
class Received:
    """A file as far as it arrived.

    Attributes:
        header: of the file.
        pack: the model pack that it was made with.
        indices: (h, w) int32, -1 where lost; at least one is not.
        losses: what was lost.
    """

    header: Header
    pack: store.Pack
    indices: NDArray[np.int32]
    losses: Losses


@dataclass(frozen=True)
class _Found:
    """Packets of a file, before their payloads are read."""

    header: Header
    payloads: Mapping[int, bytes]
    uncertain: frozenset[int] = frozenset()
    n_damaged: int = 0
    n_foreign_bytes: int = 0
    is_whole: bool = False


def receive(
    data: bytes, *, model: str | Path | None, max_pixels: int, strict: bool = False
) -> Received:
    """Read a file, or what is left of it.

    Args:
        data: any bytes.
        model: a pack's name or folder to insist on; None finds the one that the file names.
        max_pixels: refuse larger pictures, before memory is taken.
        strict: refuse a file of which anything is missing or damaged.

    Raises:
        FormatError: no packet is intact, or with `strict` not all are; or the file's stride is not
            its pack's.
        LimitError: the picture is larger than `max_pixels`.
        ModelError: the pack that the file was made with is not at hand.
    """
    found = _find(data, strict)
    header = found.header
    header.check_pixels(max_pixels)
    pack = store.find_by_id(header.weights_id, model)
    header.check_stride(pack.manifest.stride, pack.name)
    tables = pack.tables(header.tier, header.coding)
    bad: dict[int, FormatError] = {}

    def decode(payloads: Mapping[int, bytes]) -> NDArray[np.int32]:
        return decode_index_map(
            [payloads.get(index) for index in range(header.n_packets)],
            header,
            *tables,
            on_bad=None if strict else bad.__setitem__,
            uncertain=found.uncertain,
        )

    indices = decode(found.payloads)
    n_bad = len(bad)
    kept = {index: payload for index, payload in found.payloads.items() if index not in bad}
    intact = {index for index in kept if index < header.n_packets}
    rebuilt: set[int] = set()
    if len(intact) < header.n_packets and any(index >= header.n_packets for index in kept):
        # A parity packet whose end is a guess could spoil what is rebuilt, and nothing would tell.
        sure = {i: p for i, p in kept.items() if i < header.n_packets or i not in found.uncertain}
        payloads = recover(header, sure)
        rebuilt = payloads.keys() - intact
        if rebuilt:
            bad.clear()
            indices = decode(payloads)
            rebuilt -= bad.keys()
    missing = tuple(i for i in range(header.n_packets) if i not in intact and i not in rebuilt)
    erased = int((indices < 0).sum())
    if erased == indices.size:
        raise next(iter(bad.values()), _nothing_left())
    losses = Losses(
        header.n_packets,
        len(rebuilt),
        missing,
        found.n_damaged + n_bad,
        found.n_foreign_bytes,
        indices.size,
        erased,
        is_whole=found.is_whole and not n_bad,
    )
    return Received(header, pack, indices, losses)


def _find(data: bytes, strict: bool) -> _Found:
    """The packets of a whole file, or those that can be found in a damaged one."""
    try:
        parsed = container.parse(data)
        parsed.payloads()  # insists on every packet
        payloads = {packet.index: packet.payload for packet in parsed.packets}
        return _Found(parsed.header, payloads, is_whole=True)
    except FormatError:
        if strict:
            raise
    saved = salvage(data)
    return _Found(
        saved.header, saved.payloads, saved.uncertain, saved.n_damaged, saved.n_foreign_bytes
    )


def _nothing_left() -> FormatError:
    return ChecksumError("no packet that carries indices is intact; get the file again")
