"""The search for packets in damaged bytes, with its work counted.

FORMAT.md section 4A. First for prefixes: behind the magic, standing twice or more, and standing
once; then for packets that begin with one and end where a checksum says so. Under a prefix that is
known to be true, packets are found whose own copy of it was hit.
"""

from __future__ import annotations

import heapq
import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from vqcodec.bitstream import places
from vqcodec.bitstream.finds import Find, least_indices
from vqcodec.bitstream.layout import (
    CHECKSUM_BYTES,
    MAGIC,
    PACKET_HEAD_BYTES,
    PREFIX_BYTES,
)
from vqcodec.bitstream.packets import Packet

WORK_PER_BYTE: Final = 128
WORK_AT_LEAST: Final = 2**26
"""Work is counted in nanoseconds or so: bytes checksummed in one go, and what else takes as long.
There is at most 2**26 and 128 per byte of data; what is not found by then is lost. Files that were
not made up to last need far less."""

_SINGLE_SHARE: Final = 4  # that part of all work is for prefixes that stand once
_NEAR_WORK: Final = 24  # per byte of a search for damaged prefixes
_STEP_WORK: Final = 128  # per byte of a checksum that is compared after each
_LEAD_WORK: Final = 8192  # per prefix looked at
_END_WORK: Final = 512  # per end of a packet that is tried

_PREFIX_BITS: Final = 8
"""Bits of 64 in which a damaged prefix may differ: a burst of two bytes, or scattered errors so
dense that hardly any payload is intact. Noise comes as close once in 4 GB."""

_MAGIC_BITS: Final = 4
_MOST_ENDS: Final = 16  # of a packet, from the next border on
_MOST_LEADS: Final = 32
_MOST_DEEP: Final = 2
_MOST_HOPES: Final = 32


class Search:
    """A search through bytes.

    Attributes:
        magics: offsets of the magic.
        n_leads: prefixes that stand behind the magic, or twice.
        work: done so far.

    Args:
        data: any bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._view = data, memoryview(data)
        self._most_work = WORK_AT_LEAST + WORK_PER_BYTE * len(data)
        self.work, self.n_leads = 0, 0
        self.magics = places.exact(data, MAGIC)
        self._starts: set[int] = set()  # of intact packets under any prefix

    def best(self) -> Find | None:
        """Search; what there is of the file of which there is most."""
        leads, singles = self._leads()
        self.n_leads = len(leads)
        best = heapq.nlargest(
            _MOST_DEEP,
            (find for find in self._exact(leads, singles) if find.packets),
            key=Find.score,
        )
        if best:
            deep = [self._deep(find.prefix) or find for find in best]
        else:
            # Nothing is known to be true. A prefix that stands once may, if damaged copies of it
            # are there, too.
            hopes = [*leads, *singles][:_MOST_HOPES]
            deep = [
                find
                for find in (self._deep(prefix, is_lead=prefix in leads) for prefix in hopes)
                if find and find.packets
            ]
        found = max(deep, key=Find.score, default=None)
        if found:
            # What nearly looks like a packet of this file may be an intact one of another.
            others = self._starts - {start for start, _ in found.spans}
            found.damaged = [start for start in found.damaged if start not in others]
        return found

    def _spend(self, work: int) -> bool:
        """Count work that is about to be done; False if it is too much."""
        if self.work + work > self._most_work:
            return False
        self.work += work
        return True

    def _leads(self) -> tuple[list[bytes], dict[bytes, int]]:
        """Prefixes to go by, and those that stand only once, with their offsets."""
        repeated, singles = places.headers(self._data)
        near = places.near(self._data, MAGIC, _MAGIC_BITS) if self._near_work() else []
        spots = [magic + len(MAGIC) for magic in (*self.magics, *near)]
        told = [
            self._data[spot : spot + PREFIX_BYTES]
            for spot in (*spots, 0)
            if places.is_header(self._data, spot)
        ]
        leads = list(dict.fromkeys([*told[:_MOST_LEADS], *repeated[:_MOST_LEADS]]))
        for prefix in leads:
            singles.pop(prefix, None)
        return leads, singles

    def _exact(self, leads: list[bytes], singles: dict[bytes, int]) -> Iterator[Find]:
        """Collect packets that begin with exact prefixes."""
        for prefix in leads:
            if self._spend(_LEAD_WORK + len(self._data) // 2):
                yield self._collect(prefix, places.exact(self._data, prefix))
        whole = self._most_work
        self._most_work = min(whole, self.work + whole // _SINGLE_SHARE)
        costs = {prefix: self._cost(prefix, start) for prefix, start in singles.items()}
        fitting = [(cost, prefix) for prefix, cost in costs.items() if cost is not None]
        for _, prefix in sorted(fitting):  # the cheapest first: what is too long stands in no way
            if self._spend(_LEAD_WORK):
                yield self._collect(prefix, [singles[prefix]])
        self._most_work = whole

    def _cost(self, prefix: bytes, start: int) -> int | None:
        """Bytes to be checksummed for a prefix that stands once; None if no packet fits there."""
        if not self._spend(_LEAD_WORK):
            return None
        find, index = Find(prefix, len(self._data)), self._data[start + PREFIX_BYTES]
        header, room = find.header, len(self._data) - start - PACKET_HEAD_BYTES
        is_fixed = header.coding == "fixed"
        if index >= header.n_packets or (is_fixed and least_indices(header) * 3 > 8 * room):
            return None
        if not self._spend(find.sizing(index)):
            return None
        sizes = find.sizes(index)
        if is_fixed:
            return sizes[0] if sizes[0] <= room else None
        return min(room, sizes[-1])

    def _near_work(self) -> bool:
        return self._spend(_NEAR_WORK * len(self._data))

    def _deep(self, prefix: bytes, *, is_lead: bool = True) -> Find | None:
        """Collect packets that begin nearly with a prefix, too, and those without a known end."""
        if not self._near_work():
            return None
        exact = places.exact(self._data, prefix)
        near = set(places.near(self._data, prefix, _PREFIX_BITS))
        # A prefix of few bits resembles itself when it is shifted.
        near -= {at + shift for at in exact for shift in range(1 - PREFIX_BYTES, PREFIX_BYTES)}
        if not near and not is_lead:
            return None
        find = self._collect(prefix, sorted({*exact, *near}))
        self._try_lengths(find)
        return find

    def _collect(self, prefix: bytes, starts: list[int]) -> Find:
        """Settle packets that end where the format or a known border says."""
        find, until, damaged_until = Find(prefix, len(self._data)), 0, 0
        borders = sorted({*starts, *self.magics, len(self._data)})
        for start in starts:
            if start < until or start + PACKET_HEAD_BYTES > len(self._data):
                continue
            end = self._settle(find, start, borders)
            if end is not None:
                self._take(find, start, end)
                until = end
            elif start >= damaged_until:
                find.damaged.append(start)
                damaged_until = start + PACKET_HEAD_BYTES
        return find

    def _settle(self, find: Find, start: int, borders: list[int]) -> int | None:
        """Find the end, of those in question, at which the checksum is right."""
        body, stored, checksum = self._head(find, start)
        index, sizes = self._data[start + PREFIX_BYTES], self._sizes(find, start)
        if not sizes or body + sizes[0] > len(self._data):
            return None
        ends = [body + sizes[0]]
        if len(sizes) > 1:
            first = bisect_left(borders, body + sizes[0])
            last = bisect_left(borders, body + sizes[-1] + 1, first)
            ends = borders[first : min(last, first + _MOST_ENDS)]
        at = body
        for end in ends:
            if not self._spend(_END_WORK + end - at):
                return None
            checksum, at = zlib.crc32(self._view[at:end], checksum), end
            if checksum & 0xFFFFFF == stored and find.may_be(index, self._view[body:end]):
                return end if self._spend(find.counting(index)) else None
        return None

    def _try_lengths(self, find: Find) -> None:
        """Settle packets whose end nothing marks, where the format leaves it open."""
        if find.header.coding == "fixed":
            return
        n_packets, data = find.header.n_packets, self._data
        parity = {len(find.packets[index].payload) for index in find.packets if index >= n_packets}
        borders = sorted({*find.damaged, *(start for start, _ in find.spans), len(data)})
        for start in list(find.damaged):
            index = data[start + PREFIX_BYTES]
            if index in find.packets:
                continue
            body, limit = start + PACKET_HEAD_BYTES, borders[bisect_left(borders, start + 1)]
            if index >= n_packets:  # as long as the others; trying could never be confirmed
                ends = sorted(body + size for size in parity if body + size <= len(data))
                end = self._settle(find, start, ends) if ends else None
            else:
                end = self._end_by_trying(find, start, limit)
                find.uncertain |= {index} if end else set()
            if end:
                self._take(find, start, end)
                find.damaged.remove(start)

    def _end_by_trying(self, find: Find, start: int, limit: int) -> int | None:
        """Find the first end up to `limit` at which the checksum is right."""
        body, stored, checksum = self._head(find, start)
        index, sizes = self._data[start + PREFIX_BYTES], self._sizes(find, start)
        if not sizes:
            return None
        limit = min(limit, body + sizes[-1])
        if not self._spend(_STEP_WORK * max(limit - body, 0) + find.counting(index)):
            return None
        for at in range(body, limit):
            checksum = zlib.crc32(self._data[at : at + 1], checksum)
            if checksum & 0xFFFFFF == stored and self._data[at]:
                return at + 1
        return None

    def _head(self, find: Find, start: int) -> tuple[int, int, int]:
        """Where the payload begins, the stored checksum, and that of what is before the payload."""
        body = start + PACKET_HEAD_BYTES
        index = self._data[start + PREFIX_BYTES : body - CHECKSUM_BYTES]
        stored = int.from_bytes(self._data[body - CHECKSUM_BYTES : body], "big")
        return body, stored, zlib.crc32(index, zlib.crc32(find.prefix))

    def _sizes(self, find: Find, start: int) -> range:
        """As `Find.sizes`, at the price of counting positions; none when that is too much."""
        index = self._data[start + PREFIX_BYTES]
        return find.sizes(index) if self._spend(find.sizing(index)) else range(0)

    def _take(self, find: Find, start: int, end: int) -> None:
        """Keep an intact packet."""
        body, stored, _ = self._head(find, start)
        index = self._data[start + PREFIX_BYTES]
        find.packets.setdefault(index, Packet(index, start, self._data[body:end], stored, stored))
        insort(find.spans, (start, end))
        self._starts.add(start)
