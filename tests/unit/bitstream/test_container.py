"""Header, packets, container."""

from __future__ import annotations

import math

import pytest

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import CODINGS, MAGIC, PACKET_LAYOUTS, TIERS
from vqcodec.bitstream.packets import Header, checksum, write_packet
from vqcodec.errors import ChecksumError, FormatError, NotVqcError, TruncatedError, VersionError
from vqcodec.inspection import describe

HEADER = Header(tier=3, coding="fixed", n_packets=2, weights_id=0xBEEF, width=33, height=17)


def test_one_packet_files_spend_sixteen_bytes_beside_the_payload() -> None:
    data = container.write(Header(9, "table", 1, 1, 65535, 65535), [b"payload"])
    assert len(data) == 16 + len(b"payload")
    assert describe(data).header_bytes == 16


def test_a_packet_adds_twelve_bytes() -> None:
    assert len(write_packet(HEADER, 1, b"xyz")) == 12 + 3


def test_all_bytes_of_a_file_are_where_the_format_says() -> None:
    data = container.write(Header(1, "fixed", 1, 0x1234, 1, 1), [b"\xa0"])
    assert data.hex(" ") == "d6 56 51 43 11 00 12 34 00 01 00 01 00 20 d5 d8 a0"


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("count", [count for count, _ in PACKET_LAYOUTS])
def test_the_stride_is_the_highest_bit_of_the_second_byte(coding, count) -> None:
    coarse, fine = (Header(2, coding, count, 7, 33, 17, stride) for stride in (16, 8))
    assert Header(2, coding, count, 7, 33, 17) == coarse
    assert fine.write() == coarse.write()[:1] + bytes([coarse.write()[1] | 128]) + fine.write()[2:]
    assert Header.parse(fine.write(), 0) == fine
    assert Header.parse(coarse.write(), 0) == coarse
    assert (coarse.map_height, coarse.map_width) == (2, 3)
    assert (fine.map_height, fine.map_width) == (3, 5)
    assert sum(fine.num_indices(index) for index in range(count)) == 15


def test_the_largest_maps_have_a_known_size() -> None:
    maps = [Header(1, "fixed", 1, 0, 65535, 65535, stride) for stride in (16, 8)]
    assert [header.num_indices(0) for header in maps] == [2**24, 2**26]


def test_a_stride_that_is_not_the_pack_s_is_refused() -> None:
    HEADER.check_stride(16, "some-pack")
    with pytest.raises(FormatError, match=r"stride 16, model pack 'some-pack' .* has 8; get"):
        HEADER.check_stride(8, "some-pack")


def test_packets_keep_their_order_and_offsets() -> None:
    data = container.write(HEADER, [b"abc", b""])
    first, second = container.parse(data).packets
    assert (first.offset, first.size_bytes, first.payload) == (4, 15, b"abc")
    assert (second.offset, second.size_bytes, second.payload) == (19, 12, b"")


def test_a_payload_that_holds_its_own_prefix_is_refused_when_written() -> None:
    with pytest.raises(ValueError, match="prefix"):
        container.write(HEADER, [b"12" + HEADER.write() + b"34" * 8, b""])


def test_a_prefix_in_the_payload_of_a_one_packet_file_is_harmless() -> None:
    header = Header(3, "fixed", 1, 0xBEEF, 33, 17)
    payload = b"12" + header.write() * 2
    assert container.parse(container.write(header, [payload])).payloads() == [payload]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"tier": 0}, ValueError, "tier 0"),
        ({"tier": 13}, ValueError, "tier 13"),
        ({"coding": "zip"}, ValueError, "coding 'zip'"),
        ({"n_packets": 5}, ValueError, "5 packets"),
        ({"weights_id": 65536}, ValueError, "16 bits"),
        ({"width": 0}, ValueError, "size 0x17"),
        ({"height": 65536}, ValueError, "size 33x65536"),
        ({"stride": 4}, ValueError, "stride 4 is not one of 16, 8"),
        ({"stride": 0}, ValueError, "stride 0 is not one of 16, 8"),
    ],
)
def test_headers_that_the_format_cannot_carry_are_refused(change, error, match) -> None:
    with pytest.raises(error, match=match):
        Header(**{**HEADER.__dict__, **change})


def test_damage_is_described_by_parse_and_refused_by_payloads() -> None:
    data = bytearray(container.write(HEADER, [b"abc", b"de"]))
    data[17] ^= 4
    parsed = container.parse(bytes(data))
    assert [packet.is_intact for packet in parsed.packets] == [False, True]
    with pytest.raises(ChecksumError, match="packet 0 at byte 4") as caught:
        parsed.payloads()
    assert caught.value.details["offset"] == 4
    assert [packet.checksum_ok for packet in describe(bytes(data)).packets] == [False, True]
    assert not describe(bytes(data)).is_whole


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (b"", NotVqcError, "d6 56 51 43"),
        (MAGIC[:2], TruncatedError, "magic"),
        (b"\x89PNG\r\n\x1a\n", NotVqcError, "not a .vqc file"),
        (MAGIC, TruncatedError, "header"),
        (MAGIC + HEADER.write() + b"\0\0", TruncatedError, "packet's head"),
        (MAGIC + b"\x93" + HEADER.write()[1:], VersionError, "version 9"),
        (MAGIC + b"\x1d" + HEADER.write()[1:], FormatError, "tier 13"),
        (MAGIC + b"\x13\x31" + HEADER.write()[2:], VersionError, "coding mode 3"),
        (MAGIC + b"\x13\xf1" + HEADER.write()[2:], VersionError, "coding mode 7"),
        (MAGIC + HEADER.write()[:6] + b"\0\0" + bytes(4), FormatError, "size 33x0"),
        (MAGIC + write_packet(HEADER, 0, b"") * 256, FormatError, "another packet after the 255"),
    ],
)
def test_unreadable_files_say_why(data, error, match) -> None:
    with pytest.raises(error, match=match):
        container.parse(data)


@pytest.mark.parametrize(
    ("packets", "error", "match"),
    [
        ([0], TruncatedError, r"1 of 2 packets missing \(1\)"),
        ([1, 1], FormatError, "twice"),
        ([0, 7], FormatError, "too large"),
        ([0, 1, 1], FormatError, "twice"),
    ],
)
def test_strict_reading_wants_every_packet_once(packets, error, match) -> None:
    data = MAGIC + b"".join(write_packet(HEADER, index, b"\0") for index in packets)
    with pytest.raises(error, match=match):
        container.parse(data).payloads()


def with_parity(*parity: tuple[int, bytes]) -> bytes:
    """A file of the payloads abc and de, and packets by index."""
    packets = [(0, b"abc"), (1, b"de"), *parity]
    return MAGIC + b"".join(write_packet(HEADER, *packet) for packet in packets)


def test_parity_packets_stand_after_the_data_packets_and_cost_twelve_bytes_each() -> None:
    parity = [b"\x02xyz", b"\x02\0\0\0"]
    data = container.write(HEADER, [b"abc", b"de"], parity)
    assert data == with_parity((2, parity[0]), (3, parity[1]))
    parsed = container.parse(data)
    assert parsed.payloads() == [b"abc", b"de"]
    assert parsed.n_parity == 2
    assert [packet.index for packet in parsed.packets] == [0, 1, 2, 3]
    assert all(packet.size_bytes - len(packet.payload) <= 12 for packet in parsed.packets)
    assert len(data) == 4 + sum(12 + len(p.payload) for p in parsed.packets)


@pytest.mark.parametrize(
    ("parity", "error", "match"),
    [
        ([(2, b"\x02xyz")], TruncatedError, r"1 of 2\+2 packets missing \(3\)"),
        ([(3, b"\x02xyz")], TruncatedError, r"1 of 2\+2 packets missing \(2\)"),
        ([(3, b"\x02xyz"), (3, b"\x02xyz")], FormatError, "index 3 is there twice"),
        ([(2, b"\x01xyz"), (3, b"\x01xyz")], FormatError, r"index 3 is too large .* 2\+1 packets"),
        ([(2, b"\x02xyz"), (3, b"\x03xyz")], FormatError, "packet 3 .* not parity of these 2"),
        ([(2, b"\x02xyz"), (3, b"\x02xy")], FormatError, "packet 3 .* not parity of these 2"),
        ([(2, b"\x01xyz!")], FormatError, "packet 2 .* not parity of these 2"),
        ([(2, b"\x00xyz")], FormatError, "index 2 is too large in a file of 2 packets"),
        ([(2, b"\xffxyz")], FormatError, "index 2 is too large in a file of 2 packets"),
        ([(2, b"")], FormatError, "index 2 is too large in a file of 2 packets"),
    ],
)
def test_strict_reading_wants_all_parity_packets_or_none(parity, error, match) -> None:
    with pytest.raises(error, match=match):
        container.parse(with_parity(*parity)).payloads()


def test_damaged_parity_is_damage() -> None:
    data = bytearray(container.write(HEADER, [b"abc", b"de"], [b"\1xyz"]))
    data[-1] ^= 1
    with pytest.raises(ChecksumError, match="packet 2 at byte 33"):
        container.parse(bytes(data)).payloads()


@pytest.mark.parametrize(
    ("payloads", "parity"),
    [
        ([b"abc", b"de"], [b"\1xy"]),
        ([b"abc", b"de"], [b"\2xyz"]),
        ([b"abc", b"de"], [b"\2xyz"] * 254),
        ([b"abc", b"de"], [b"\xfexyz"] * 254),
        ([b"abc"], [b"\1xyz"]),
    ],
)
def test_parity_that_is_not_that_of_the_payloads_is_refused_when_written(payloads, parity) -> None:
    header = Header(3, "fixed", len(payloads), 0xBEEF, 33, 17)
    with pytest.raises(ValueError, match=r"parity payloads|section 5A"):
        container.write(header, payloads, parity)


def test_a_parity_payload_that_holds_the_prefix_is_refused_when_written() -> None:
    payloads = [b"12" + b"x" * 30, b""]
    with pytest.raises(ValueError, match="prefix"):
        container.write(HEADER, payloads, [b"\1" + HEADER.write() * 4])


def test_the_checksum_covers_prefix_index_and_payload() -> None:
    reference = checksum(b"prefix!!", 1, b"payload")
    assert (
        len({reference, checksum(b"prefix!?", 1, b"payload"), checksum(b"prefix!!", 2, b"payload")})
        == 3
    )
    assert checksum(b"prefix!!", 1, b"payloae") != reference


@pytest.mark.parametrize(("count", "step"), PACKET_LAYOUTS)
def test_each_row_step_is_the_smallest_of_those_that_spread_a_packet_widest(count, step) -> None:
    def nearest(s: int) -> float:
        vectors = [(dr, dc) for dr in range(20) for dc in range(-20, 21) if (dr, dc) != (0, 0)]
        return min((math.hypot(*v) for v in vectors if (v[1] + s * v[0]) % count == 0), default=0)

    assert step == max(range(count), key=lambda s: (nearest(s), -s))


def test_tiers_double_from_eight_words() -> None:
    assert list(TIERS.items()) == [(t, 8 << (t - 1)) for t in range(1, 13)]
