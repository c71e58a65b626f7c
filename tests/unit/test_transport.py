"""Packets in datagrams: addresses, what is kept of what arrives, ends in bounded time."""

from __future__ import annotations

import random
import socket
import threading

import pytest

from tests.synthetic import vqc
from vqcodec import channel, transport
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header, write_packet
from vqcodec.errors import BackendError, InputError
from vqcodec.transport import Address, Gathering

PACKETS = channel.split(vqc(20))
HEADER = Header.parse(PACKETS[0][:8], 0)
LOCAL = Address("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:5000", "127.0.0.1", 5000),
        ("[::1]:5000", "::1", 5000),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ("camera.example:65535", "camera.example", 65535),
        ("0.0.0.0:0", "0.0.0.0", 0),
    ],
)
def test_addresses_are_read_and_written(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize(
    "text",
    ["", ":5000", "127.0.0.1", "::1:5000", "a:65536", "a:-1", "a: 1", "a b:1", "[::1]", "a:٣"],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give HOST:PORT"):
        Address.parse(text)


def test_packets_in_any_order_make_the_file() -> None:
    gathering = Gathering()
    shuffled = random.Random(1).sample(PACKETS, 20)
    for number, packet in enumerate(shuffled):
        assert not gathering.is_complete
        assert gathering.n_data == number
        assert gathering.add(packet)
    assert gathering.is_complete
    assert gathering.header == HEADER
    assert gathering.to_bytes() == vqc(20)


def test_what_is_no_new_packet_of_the_file_is_counted_and_left_out() -> None:
    gathering = Gathering()
    noise = [b"", b"\x00", bytes(12), bytes(2000), PACKETS[0][:-1], PACKETS[0][:11]]
    assert not any(map(gathering.add, noise))
    assert gathering.header is None
    assert gathering.to_bytes() == MAGIC
    assert gathering.add(PACKETS[3])
    other = channel.split(vqc(20, weights_id=0xBEEF))
    assert not any(map(gathering.add, [*other, PACKETS[3], PACKETS[4][:-1]]))
    assert gathering.add(PACKETS[1])
    assert gathering.to_bytes() == MAGIC + PACKETS[1] + PACKETS[3]
    assert (gathering.n_damaged, gathering.n_foreign, gathering.n_repeated) == (7, 20, 1)


def test_no_changed_bit_is_taken() -> None:
    gathering = Gathering()
    for bit in range(8 * len(PACKETS[0])):
        changed = bytearray(PACKETS[0])
        changed[bit // 8] ^= 128 >> bit % 8
        assert not gathering.add(bytes(changed))


def test_parity_packets_are_kept_and_do_not_complete_a_file() -> None:
    gathering = Gathering()
    parity = [write_packet(HEADER, index, bytes([5]) * 40) for index in range(20, 25)]
    for packet in [*parity, *PACKETS[:19]]:
        assert gathering.add(packet)
    assert (gathering.n_data, gathering.is_complete) == (19, False)
    assert gathering.to_bytes() == MAGIC + b"".join([*PACKETS[:19], *parity])


def test_memory_is_bounded_whatever_index_a_packet_has() -> None:
    gathering = Gathering()
    taken = [gathering.add(write_packet(HEADER, index, b"x")) for index in range(256)]
    assert sum(taken) == len(gathering.packets) == 255
    single = Gathering()
    header = Header(3, "fixed", 1, 1, 64, 64)
    assert single.add(write_packet(header, 0, b"x"))
    assert not single.add(write_packet(header, 1, b"x"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_packets_travel_over_the_loopback(host: str) -> None:
    try:
        listener = transport.listen(Address(host, 0))
    except BackendError as error:
        pytest.skip(f"no {host} here: {error}")
    with listener:
        port = transport.address_of(listener).port
        n_bytes = transport.send(PACKETS, Address(host, port), pace_s=1e-4)
        gathering = transport.receive(listener, wait_s=60, idle_s=60)
    assert n_bytes == sum(map(len, PACKETS))
    assert gathering.to_bytes() == vqc(20)


def test_packets_leave_in_the_order_of_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with transport.listen(LOCAL) as listener:
        transport.send(PACKETS, transport.address_of(listener), pace_s=0.5)
        seen = [listener.recv(2000)[8] for _ in PACKETS]
    assert seen == channel.sending_order(20)
    assert slept == [0.5] * 19


def test_silence_ends_the_waiting() -> None:
    with transport.listen(LOCAL) as listener:
        assert transport.receive(listener, wait_s=0, idle_s=60).header is None
        transport.send(PACKETS[:5], transport.address_of(listener))
        gathering = transport.receive(listener, wait_s=60, idle_s=0)
    # Even with no time left, what lay in the queue was taken.
    assert gathering.to_bytes() == MAGIC + b"".join(PACKETS[:5])


def test_noise_does_not_keep_the_receiver() -> None:
    is_over = threading.Event()

    def shout(to: Address) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            while not is_over.is_set():
                speaker.sendto(b"noise", (to.host, to.port))

    with transport.listen(LOCAL) as listener:
        noise = threading.Thread(target=shout, args=(transport.address_of(listener),))
        transport.send([b"noise"], transport.address_of(listener))
        noise.start()
        try:
            gathering = transport.receive(listener, wait_s=0.05, idle_s=0.05)
        finally:
            is_over.set()
            noise.join()
    assert gathering.header is None
    assert gathering.n_damaged > 0


def test_what_the_network_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "No such name")

    nobody = Address("nobody", 5000)
    with monkeypatch.context() as patch:
        patch.setattr("socket.getaddrinfo", unknown)
        for attempt in (lambda: transport.listen(nobody), lambda: transport.send(PACKETS, nobody)):
            with pytest.raises(BackendError, match="'nobody' cannot be found: no such name"):
                attempt()
    with pytest.raises(BackendError, match="cannot be found: not a name"):
        transport.listen(Address("a..b", 5000))
    with transport.listen(LOCAL) as listener:
        with pytest.raises(BackendError, match=r"already in use\. Give another port"):
            transport.listen(transport.address_of(listener))
    with pytest.raises(BackendError, match="Give an address of this machine"):
        transport.listen(Address("192.0.2.1", 5000))  # for documents: nobody's
    with pytest.raises(InputError, match=r"packet 0 has 65,508 bytes.*--mtu"):
        transport.send([bytes(65508)], Address("127.0.0.1", 5000))

    class Forbidden(socket.socket):
        def sendto(self, *_: object) -> int:
            raise PermissionError(1, "Operation not permitted")

        def bind(self, _: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket", Forbidden)
    with pytest.raises(
        BackendError, match=r"cannot send to 127\.0\.0\.1:9: operation not permitted"
    ):
        transport.send(PACKETS, Address("127.0.0.1", 9))
    with pytest.raises(BackendError, match=r"permission denied\. Give a port above 1023"):
        transport.listen(Address("127.0.0.1", 80))
