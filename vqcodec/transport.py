"""Packets over UDP: one a datagram, as they stand in the file, without its magic.

Going out, the packets of a file are sent in `channel.sending_order`. Coming in, datagrams are
hostile like every other stream: `Gathering` keeps the intact packets of one file, at most 256 of
them, whatever else arrives. There is no handshake, no answer and no sending again.
"""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from vqcodec.bitstream.layout import MAGIC, MAX_CODEWORD, PREFIX_BYTES
from vqcodec.bitstream.packets import Header, parse_packet
from vqcodec.channel import sending_order
from vqcodec.errors import BackendError, FormatError, InputError

MAX_DATAGRAM_BYTES: Final = 65507
"""What UDP over IPv4 carries at most."""

MAX_PORT: Final = 65535
_BUFFER_BYTES = 2**22
_MAX_LATE = 256
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<name>[^\[\]:\s]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Address:
    """A host by name or number, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as it is typed: IPv6 numbers in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read HOST:PORT, or [HOST]:PORT for IPv6 numbers; ValueError for anything else."""
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["port"]) > MAX_PORT:
            raise ValueError(
                f"'{text}' is no address; give HOST:PORT, for example 192.0.2.7:5000 or [::1]:5000"
            )
        return cls(match["six"] or match["name"], int(match["port"]))


@dataclass
class Gathering:
    """The packets of one file, from datagrams in any order.

    The first intact packet says which file; packets of another prefix are counted and left out.

    Attributes:
        header: of the file, None before its first packet.
        packets: index -> packet, bytes as they came; indices from `header.n_packets` are parity.
        n_damaged: datagrams that were no intact packet.
        n_foreign: intact packets of another file.
        n_repeated: packets that were there already.
    """

    header: Header | None = None
    packets: dict[int, bytes] = field(default_factory=dict)
    n_damaged: int = 0
    n_foreign: int = 0
    n_repeated: int = 0

    @property
    def n_data(self) -> int:
        """Data packets that are there; all others are parity."""
        n_packets = self.header.n_packets if self.header else 0
        return sum(index < n_packets for index in self.packets)

    @property
    def is_complete(self) -> bool:
        """Whether all data packets are there."""
        return self.header is not None and self.n_data == self.header.n_packets

    def add(self, datagram: bytes) -> bool:
        """Take a datagram; return whether it was a packet of the file that was missing so far."""
        try:
            header = Header.parse(datagram[:PREFIX_BYTES], 0)
            packet = parse_packet(datagram, 0)
        except FormatError:
            packet = None
        if packet is None or not packet.is_intact or not _may_be(packet.index, header):
            self.n_damaged += 1
        elif self.header not in (None, header):
            self.n_foreign += 1
        elif packet.index in self.packets:
            self.n_repeated += 1
        else:
            self.header = header
            self.packets[packet.index] = datagram
            return True
        return False

    def to_bytes(self) -> bytes:
        """Return a `.vqc` file of the packets that are there, by index; the magic alone if none."""
        return MAGIC + b"".join(self.packets[index] for index in sorted(self.packets))


def send(packets: Sequence[bytes], to: Address, *, pace_s: float = 0.0) -> int:
    """Send packets, one a datagram, in `sending_order`.

    Whether anybody listens cannot be known. Whatever the network loses is lost.

    Args:
        packets: of one file, in file order, without the magic.
        to: where to.
        pace_s: seconds between two datagrams, so that queues on the way do not overflow.

    Returns:
        Bytes sent, without the network's own headers.

    Raises:
        InputError: a packet does not fit a datagram.
        BackendError: the host's name does not resolve, or the network refuses.
    """
    for place, packet in enumerate(packets):
        if len(packet) > MAX_DATAGRAM_BYTES:
            raise InputError(
                f"packet {place} has {len(packet):,} bytes, and a datagram takes at most "
                f"{MAX_DATAGRAM_BYTES:,}; encode again with --mtu, so that packets are smaller"
            )
    family, where = _resolve(to)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as speaker:
            for number, place in enumerate(sending_order(len(packets))):
                if number and pace_s:
                    time.sleep(pace_s)
                speaker.sendto(packets[place], where)
    except OSError as error:
        raise BackendError(
            f"cannot send to {to}: {_words(error)}. Check the address and the network."
        ) from error
    return sum(map(len, packets))


def listen(at: Address) -> socket.socket:
    """Open a socket for `receive`; the caller closes it.

    Args:
        at: an address of this machine; port 0 lets the system choose.

    Raises:
        BackendError: the host's name does not resolve, the port is taken or not allowed.
    """
    family, where = _resolve(at, socket.AI_PASSIVE)
    listener = socket.socket(family, socket.SOCK_DGRAM)
    try:
        # As much as the system grants: a sender may be faster than this program.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        listener.bind(where)
    except OSError as error:
        listener.close()
        remedies = {
            errno.EADDRINUSE: "Give another port, or stop the program that has it.",
            errno.EACCES: "Give a port above 1023.",
            errno.EADDRNOTAVAIL: "Give an address of this machine, or 0.0.0.0 for all of them.",
        }
        remedy = remedies.get(error.errno or 0, "Give another address.")
        raise BackendError(f"cannot listen: {_words(error)}. {remedy}", place=str(at)) from error
    return listener


def address_of(listener: socket.socket) -> Address:
    """Return where a socket listens."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def receive(listener: socket.socket, *, wait_s: float, idle_s: float) -> Gathering:
    """Gather the packets of one file.

    Ends when all data packets are there, when no new one has come for `idle_s`, or when no intact
    packet at all has come within `wait_s`; what is no new packet of the file extends neither, so
    that nobody can keep the caller here for ever.

    Args:
        listener: from `listen`.
        wait_s: seconds to wait for the first packet.
        idle_s: seconds to wait for the next one.

    Returns:
        What came, perhaps nothing.

    Raises:
        BackendError: the network failed.
    """
    gathering = Gathering()
    deadline = time.monotonic() + wait_s
    n_late = 0
    while not gathering.is_complete and n_late <= _MAX_LATE:
        left_s = deadline - time.monotonic()
        if left_s <= 0:  # this program may have been the slow one: take what lies in the queue
            n_late += 1
        listener.settimeout(max(left_s, 0.0))
        try:
            datagram = listener.recv(MAX_DATAGRAM_BYTES + 1)
        except (TimeoutError, BlockingIOError):
            break
        except OSError as error:
            raise BackendError(
                f"cannot receive: {_words(error)}. Check the network.",
                place=str(address_of(listener)),
            ) from error
        if gathering.add(datagram):
            deadline = time.monotonic() + idle_s
    return gathering


def _may_be(index: int, header: Header) -> bool:
    """Whether a packet of this index can be data or parity of a file with this header."""
    if index < header.n_packets:
        return True
    return header.n_packets > 1 and index < MAX_CODEWORD


def _resolve(address: Address, flags: int = 0) -> tuple[int, Any]:
    """Return family and socket address of an address; of a name that has both kinds, IPv4.

    Else `localhost` would be one address to the sender and another to the receiver.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM, flags=flags)
    except (OSError, UnicodeError) as error:
        words = _words(error) if isinstance(error, OSError) else "not a name"
        raise BackendError(
            f"the host '{address.host}' cannot be found: {words}. Check the name and the network."
        ) from error
    family, *_, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, where


def _words(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
