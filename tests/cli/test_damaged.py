"""`info` and `verify` on damaged files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vqcodec.bitstream import container


@pytest.fixture
def left(folder: Path, vqc: Callable[..., bytes]) -> Path:
    """What is left of a file of six packets: two intact, one damaged, other bytes between."""
    data = vqc(n_packets=6)
    starts = [packet.offset for packet in container.parse(data).packets]
    packets = [data[start:end] for start, end in itertools.pairwise([*starts, len(data)])]
    hit = packets[4][:-1] + bytes([packets[4][-1] ^ 8])
    path = folder / "left.vqc"
    path.write_bytes(b"noise" + packets[1] + hit + b"more noise!!" + packets[2])
    return path


def test_info_tells_what_is_left(left: Path, run: Callable) -> None:
    result = run("info", left.name)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("left.vqc: 48 x 32 px, ")
    assert lines[3:] == [
        "  packet 1 at byte 5: 13 bytes, 1 indices, intact",
        "  packet 4 at byte 18: 13 bytes, 1 indices, damaged",
        "  packet 2 at byte 43: 14 bytes, 2 indices, intact",
        "  packet 0: missing",
        "  packet 3: missing",
        "  packet 5: missing",
        "  damaged: 2 of 6 packets intact, 1 damaged place, 17 bytes that belong to no packet",
    ]


def test_info_tells_it_to_programs(left: Path, run: Callable) -> None:
    told = json.loads(run("info", left.name, "--json").stdout)
    assert told["is_damaged"] is True
    assert (told["n_packets"], told["n_intact"], told["missing"]) == (6, 2, [0, 3, 4, 5])
    assert (told["n_parity"], told["n_parity_intact"], told["foreign_bytes"]) == (0, 0, 17)
    assert [packet["checksum_ok"] for packet in told["packets"]] == [True, False, True]


def test_verify_names_every_packet(left: Path, run: Callable) -> None:
    result = run("verify", left.name)
    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert lines[0] == ("left.vqc: not a .vqc file: it does not begin with the bytes d6 56 51 43")
    assert lines[1].startswith("left.vqc: packet 1 at byte 18: checksum ")
    assert lines[2:] == [
        "left.vqc: 3 of 6 packets missing (0, 3, 5)",
        "left.vqc: 17 bytes that belong to no packet",
    ]
