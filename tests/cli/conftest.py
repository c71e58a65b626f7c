"""A folder of good and bad files, and the program run in this process or in one of its own."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from vqcodec.bitstream import container
from vqcodec.bitstream.packets import Header
from vqcodec.cli.main import cli
from vqcodec.packs import store
from vqcodec.payload import encode_index_map

WIDTH, HEIGHT, TIER = 48, 32, 3

Run = Callable[..., Result]


def png_header_only(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds no pixels."""
    data = b"\x89PNG\r\n\x1a\n"
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for body in (head, b"IDAT", b"IEND"):
        data += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data


def photo(alpha: int = 255) -> bytes:
    """A small smooth picture as PNG."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x * 5, y * 7, x + y, np.full_like(x, alpha)], 2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert("RGBA" if alpha < 255 else "RGB").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def vqc(tiny_pack: Path) -> Callable[..., bytes]:
    """Make a `.vqc` file of the tiny pack without torch."""
    pack = store.load(tiny_pack)

    def make(n_packets: int = 1, weights_id: int | None = None) -> bytes:
        known = pack.weights_id if weights_id is None else weights_id
        header = Header(TIER, "fixed", n_packets, known, WIDTH, HEIGHT)
        indices = np.arange(6, dtype=np.int32).reshape(2, 3)
        return container.write(header, encode_index_map(indices, header, pack.frequencies(TIER)))

    return make


@pytest.fixture
def folder(
    tmp_path: Path,
    tiny_pack: Path,
    vqc: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The working folder, with one file of every kind."""
    whole, two = vqc(), vqc(n_packets=2)
    files = {
        "photo.png": photo(),
        "alpha.png": photo(alpha=100),
        "cut.png": photo()[:60],
        "huge.png": png_header_only(20_000, 20_000),
        "wide.png": png_header_only(70_000, 10),
        "empty.png": b"",
        "notes.txt": b"this is no image\n",
        "small.vqc": whole,
        "damaged.vqc": whole[:-1] + bytes([whole[-1] ^ 1]),
        "short.vqc": whole[:9],
        "two.vqc": two,
        "half.vqc": two[: two.rindex(two[4:12])],
        "foreign.vqc": vqc(weights_id=0xBEEF),
        "void.vqc": b"",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "_EMBEDDED", ())  # in this process only the tiny pack exists
    for name, value in {
        "VQCODEC_MODELS": str(tiny_pack.parent),
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run the program in this process."""

    def invoke(*arguments: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(cli, list(arguments), input=stdin)

    return invoke


@pytest.fixture
def spawn(folder: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run the program in a process of its own."""

    def start(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        if "stdout" not in options:
            options |= {"stdout": subprocess.PIPE}
        return subprocess.run(
            [sys.executable, "-m", "vqcodec", *arguments],
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONWARNINGS": "error"},
            timeout=60,
            check=False,
            **options,
        )

    return start


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def unchanged(folder: Path) -> Callable[[], bool]:
    """Tell whether every file is as it was and no other has appeared."""
    before = tree(folder)
    return lambda: tree(folder) == before
