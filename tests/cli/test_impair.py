"""`vqcodec impair`: the file that comes out, by name and through streams, in any process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.synthetic import vqc
from vqcodec import channel
from vqcodec.bitstream.layout import MAGIC


@pytest.fixture
def packets(folder: Path) -> list[bytes]:
    """Packets of `many.vqc`, a file of twenty."""
    (folder / "many.vqc").write_bytes(vqc(20))
    return channel.split(vqc(20))


def test_the_packets_left_stand_as_they_were(
    run: Callable, folder: Path, packets: list[bytes]
) -> None:
    result = run("impair", "many.vqc", "-o", "lossy.vqc", "--loss", "0.2", "--json")
    record = json.loads(result.stdout)
    assert record["lost"] == [5, 14, 15]
    left = [packet for place, packet in enumerate(packets) if place not in record["lost"]]
    assert (folder / "lossy.vqc").read_bytes() == MAGIC + b"".join(left)
    assert record["size_bytes"] == (folder / "lossy.vqc").stat().st_size
    wanted = "many.vqc -> lossy.vqc: 3 of 20 packets lost, 0 of 6,832 bits flipped\n"
    assert result.stderr == wanted


def test_bits_flip_as_often_as_it_says(run: Callable, folder: Path, packets: list[bytes]) -> None:
    options = ("--bit-errors", "0.05", "--seed", "9", "--json")
    record = json.loads(run("impair", "many.vqc", "-o", "noisy.vqc", *options).stdout)
    noisy = (folder / "noisy.vqc").read_bytes()
    changed = int.from_bytes(noisy, "big") ^ int.from_bytes(vqc(20), "big")
    assert record["lost"] == []
    assert record["n_flips"] == changed.bit_count() > 0


def test_streams_both_ways(spawn: Callable, packets: list[bytes]) -> None:
    options = ("--loss", "0.3", "--model", "gilbert-elliott", "--burst", "4", "--seed", "2")
    done = spawn("impair", "-", "-o", "-", *options, input=vqc(20))
    assert done.returncode == 0
    assert done.stdout == channel.impair(vqc(20), loss=0.3, model=options[3], burst=4, seed=2)
    assert done.stderr.startswith(b"stdin -> stdout: ")


def test_a_failure_leaves_nothing(run: Callable, unchanged: Callable) -> None:
    for name in ("half.vqc", "damaged.vqc", "short.vqc", "void.vqc", "photo.png", "nowhere.vqc"):
        result = run("impair", name, "-o", "out/new.vqc", "--loss", "0.5")
        assert result.exit_code in (3, 4)
        assert len(result.stderr.splitlines()) == 1
    assert unchanged()


@pytest.mark.parametrize("command", ["impair many.vqc -o out/", "send many.vqc --to 127.0.0.1:9"])
def test_the_standard_library_and_click_are_enough(
    folder: Path, packets: list[bytes], command: str
) -> None:
    probe = (
        "import sys\nfrom vqcodec.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n"
        "    print({'torch', 'numpy', 'PIL', 'constriction'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *command.split()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
