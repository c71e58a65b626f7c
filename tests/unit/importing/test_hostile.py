"""Hostile checkpoints: nothing in them runs, and only a VqcError comes out, in bounded time and
memory."""

from __future__ import annotations

import contextlib
import io
import os
import random
import struct
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from vqcodec.errors import CheckpointError, InputError, VqcError
from vqcodec.importing.architecture import recognise
from vqcodec.importing.archive import Checkpoint, open_checkpoint
from vqcodec.importing.unpickle import unpickle
from vqcodec.importing.weights import read, select

from .conftest import VQModel, lightning, make

N_MUTATIONS = int(os.environ.get("VQCODEC_FUZZ", "40"))


class Harm:
    """A pickle of it calls a function when it is unpickled."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def integer(value: int) -> bytes:
    """LONG1."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(
    numel: int = 4, offset: int = 0, shape: tuple = (4,), stride: tuple = (1,), key: str = "0"
) -> bytes:
    """A tensor as torch pickles it."""
    rows = b"".join(b"(" + b"".join(map(integer, row)) + b"t" for row in (shape, stride))
    storage = text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    place = b"((" + storage + integer(numel) + b"tQ" + integer(offset)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n"
        + place
        + rows
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def pickled(value: bytes, key: str = "a") -> bytes:
    """{"state_dict": {key: value}}."""
    return b"\x80\x02}" + text("state_dict") + b"}" + text(key) + value + b"ss."


def zipped(path: Path, pickle: bytes, data: bytes = bytes(16), **options: object) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/data/0", data)
    return path


def take(path: Path) -> Checkpoint:
    """Open a checkpoint and read all its tensors."""
    checkpoint = open_checkpoint(path)
    checkpoint.read(checkpoint.tensors)
    return checkpoint


def refused(path: Path, word: str) -> None:
    with pytest.raises(InputError, match=word):
        take(path)


def test_what_is_crafted_here_is_a_checkpoint(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.ckpt", pickled(tensor()), struct.pack("<4f", 1, 2, 3, 4))
    assert open_checkpoint(path).read(["a"])["a"].tolist() == [1, 2, 3, 4]
    turned = pickled(tensor(4, 0, (2, 2), (1, 2)))
    zipped(path, turned, struct.pack("<4f", 1, 2, 3, 4))
    assert open_checkpoint(path).read(["a"])["a"].tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_nothing_runs(is_zip: bool, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    state = {"a": torch.zeros(2)}
    for function, word in (
        (os.system, "(posix|nt).system"),
        (exec, "builtins.exec"),
        (eval, "builtins.eval"),
        (os.mkdir, "(posix|nt).mkdir"),
    ):
        argument = f"touch {trace}" if function is os.system else str(trace)
        values = {"state_dict": state, "more": Harm(function, argument)}
        torch.save(values, tmp_path / "a.ckpt", _use_new_zipfile_serialization=is_zip)
        refused(tmp_path / "a.ckpt", word)
    values = {"state_dict": {"a": Harm(Path.touch, trace)}, "b": state}
    torch.save(values, tmp_path / "a.ckpt", _use_new_zipfile_serialization=is_zip)
    assert list(open_checkpoint(tmp_path / "a.ckpt").skipped) == ["a"]
    assert not trace.exists()


@pytest.mark.parametrize(
    ("crafted", "word"),
    [
        (tensor(10**11, 0, (10**11,)), "claims 100,000,000,000 elements"),
        (tensor(10**20, 0, (10**20,)), "without a size"),
        (tensor(8, 0, (8,)), "claims 8 elements"),
        (tensor(4, 0, (5,)), "outside its storage"),
        (tensor(4, 3, (2,)), "outside its storage"),
        (tensor(4, -1, (2,)), "size or stride"),
        (tensor(4, 0, (-2,)), "size or stride"),
        (tensor(4, 3, (2,), (-1,)), "size or stride"),
        (tensor(4, 0, (2, 2), (1,)), "dimensions"),
        (tensor(4, 0, (1,) * 9, (1,) * 9), "dimensions"),
        (tensor(4, 0, (2**30, 2**30), (0, 0)), "outside its storage"),
        (tensor(key="7"), "archive/data/7"),
        (tensor(key="../../etc/passwd"), "passwd"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(N" + b"K\x00" * 3 + b"tR", "without a storage"),
    ],
)
def test_tensors_that_lie_are_refused(crafted: bytes, word: str, tmp_path: Path) -> None:
    tracemalloc.start()
    refused(zipped(tmp_path / "a.ckpt", pickled(crafted)), word)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


BOMBS = {
    "nested tuple as a key": b"\x80\x02})" + b"2\x86" * 10_000 + b"Ns.",
    "nested lists": b"\x80\x02" + b"]" * 9_000 + b"a" * 8_999 + b".",
    "nested tuples": b"\x80\x02)" + b"\x85" * 19_000 + b".",
    "memo far away": b"\x80\x02]r\xfe\xff\xff\xff.",
    "string that is not there": b"\x80\x02X\xff\xff\xff\x7f.",
    "bytes that are not there": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    "long that is not there": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "too many steps": b"\x80\x02" + b"N0" * 20_000 + b".",
    "too long": b"\x80\x02" + b"(" * 1_000_000 + b".",
    "a long list copied": b"\x80\x02("
    + b"N" * 100_000
    + b"lq\x00"
    + b"ccollections\nOrderedDict\nh\x00\x85R0" * 10_000
    + b".",
    "long integers as keys": b"\x80\x02}q\x00\x8b\x00\x00\x80\x00"
    + b"\x01" * 0x800000
    + b"q\x01"
    + b"h\x00h\x01Ns0" * 100_000
    + b".",
    "marks": b"\x80\x02" + b"(" * 19_000 + b".",
    "empty": b"",
    "no opcode": b"\x80\x02\xff.",
    "extension": b"\x80\x02\x82\x01.",
    "underflow": b"\x80\x02R.",
    "text persistent id": b"\x80\x02Pstorage\n.",
    "buffers": b"\x80\x05\x97.",
    "digits": b"L" + b"9" * 100_000 + b"L\n.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_fizzle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqcodec.importing.unpickle.MAX_WORK", 20_000)
    begin = time.perf_counter()
    said = ""
    try:
        unpickle(io.BytesIO(BOMBS[name]))
    except VqcError as error:
        said = error.message
    assert len(said) < 200
    assert time.perf_counter() - begin < 10  # below 1 on an idle machine


def test_zips_that_lie_are_refused(tmp_path: Path, vqgan: VQModel) -> None:
    path = tmp_path / "a.ckpt"
    refused(zipped(path, pickled(tensor()), compression=zipfile.ZIP_DEFLATED), "compressed")
    data = zipped(path, pickled(tensor())).read_bytes()
    entry = data.index(b"archive/data/0", data.index(b"PK\x01\x02")) - 46
    lies = bytearray(data)
    lies[entry + 20 : entry + 28] = struct.pack("<2I", 10**9, 10**9)
    path.write_bytes(lies)
    refused(path, "claims|damaged|Overlapped")
    end = data.index(b"PK\x05\x06")
    for place, value in ((12, 2**31), (16, 2**31), (10, 0xFFFF)):
        lies = bytearray(data)
        lies[end + place : end + place + (2 if place == 10 else 4)] = value.to_bytes(4, "little")[
            : 2 if place == 10 else 4
        ]
        path.write_bytes(lies)
        with contextlib.suppress(InputError):
            take(path)
    for cut in (len(data) - 1, len(data) // 2, 40, 5, 3, 0):
        path.write_bytes(data[:cut])
        refused(path, "not a checkpoint|damaged")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(tensor()))
    refused(path, "archive/data/0")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no")
    refused(path, "not one that torch.save wrote")
    for name, content, word in (
        ("byteorder", "big", "byte order"),
        ("constants.pkl", "", "Script"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled(tensor()))
            archive.writestr(f"archive/{name}", content)
        refused(path, word)


def test_what_is_no_checkpoint_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    refused(path, "not found")
    refused(tmp_path, "a folder")
    for data, word in (
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a checkpoint"),
        (b"\x80\x02K\x01.", "torch.save did not write"),
        (b"\x80\x02]q\x00.", "torch.save did not write"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{" + bytes(20), "damaged"),
        (struct.pack("<Q", 12) + b'{"a":{"b":1}', "damaged"),
    ):
        path.write_bytes(data)
        refused(path, word)
    for values, word in (
        ({"epoch": 1}, "no weights in it"),
        ([torch.zeros(2)], "no weights in it"),
        ({"state_dict": Harm(OrderedDict.fromkeys, "a")}, "state_dict"),
        (torch.nn.Conv2d(3, 3, 1), "without running code"),
    ):
        torch.save(values, path)
        refused(path, word)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_mutations_are_read_or_refused(is_zip: bool, tmp_path: Path) -> None:
    model = make(stride=8, n_embed=8)
    for name in ("decoder.mid", "decoder.up", "encoder.mid"):  # smaller and as odd
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, torch.nn.Identity())
    path = tmp_path / "a.ckpt"
    torch.save(lightning(model), path, _use_new_zipfile_serialization=is_zip)
    data = path.read_bytes()
    chance = random.Random(7)
    places = [*range(min(len(data), 12_000)), *range(max(0, len(data) - 6_000), len(data))]
    for _ in range(N_MUTATIONS):
        mutated = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            place = chance.choice(places)
            mutated[place] = chance.choice((0, 255, mutated[place] ^ 1, chance.randrange(256)))
        if chance.random() < 0.1:
            del mutated[chance.randrange(len(mutated)) :]
        path.write_bytes(mutated)
        said = ""
        try:
            recognise(path, select(take(path)).shapes)
        except VqcError as error:
            said = error.message
        assert len(said) < len(str(path)) + 300


def test_values_that_are_not_finite_are_refused(vqgan: VQModel, tmp_path: Path) -> None:
    state = {key: value.clone() for key, value in vqgan.state_dict().items()}
    state["decoder.conv_out.bias"][1] = float("nan")
    torch.save(state, tmp_path / "a.ckpt")
    checkpoint = open_checkpoint(tmp_path / "a.ckpt")
    chosen = select(checkpoint)
    found = recognise(tmp_path / "a.ckpt", chosen.shapes)
    with pytest.raises(CheckpointError, match="not finite"):
        read(checkpoint, chosen, found.shapes)
