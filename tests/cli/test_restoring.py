"""`decode` of files with losses, and packs that have a restorer."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.bitstream.packets import Header
from vqcodec.indices.scan import packet_map
from vqcodec.packs import store
from vqcodec.payload import encode_index_map

HEIGHT, WIDTH, TIER = 41, 60, 3
LOST = (2, 3)


@pytest.fixture
def lossy(folder: Path, tiny_pack: Path) -> Path:
    """A file of six packets of which two are lost, beside the whole one."""
    pack = store.load(tiny_pack)
    header = Header(TIER, "fixed", 6, pack.weights_id, WIDTH, HEIGHT)
    indices = np.arange(12, dtype=np.int32).reshape(3, 4)
    data = container.write(header, encode_index_map(indices, header, pack.frequencies(TIER)))
    (folder / "whole.vqc").write_bytes(data)
    kept = [packet for packet in container.parse(data).packets if packet.index not in LOST]
    left = MAGIC + b"".join(data[p.offset : p.offset + p.size_bytes] for p in kept)
    (folder / "lossy.vqc").write_bytes(left)
    return folder


@pytest.fixture
def restoring(folder: Path, tiny_restorer_pack: Path) -> Path:
    """A copy of the pack that has a restorer, to break."""
    return Path(shutil.copytree(tiny_restorer_pack, folder / "restoring"))


def one_error(result) -> str:
    (line,) = result.stderr.splitlines()
    return line.removeprefix("vqcodec: error: ")


def test_a_note_says_how_much_is_guess(lossy: Path, run: Callable) -> None:
    result = run("decode", "lossy.vqc")
    assert result.exit_code == 0
    note, done = result.stderr.splitlines()
    assert note == (
        "vqcodec: note: lossy.vqc: 2 of 6 packets lost, 33.3% of the picture painted by guess "
        "(neighbour)"
    )
    assert done.startswith("lossy.vqc -> lossy.png: 60 x 41 px from ")
    assert run("decode", "lossy.vqc", "-o", "other.png", "-q").stderr == ""


def test_a_whole_file_has_no_note(lossy: Path, run: Callable) -> None:
    assert len(run("decode", "whole.vqc").stderr.splitlines()) == 1


def test_strict_refuses_what_is_not_whole(lossy: Path, run: Callable, unchanged: Callable) -> None:
    result = run("decode", "lossy.vqc", "--strict")
    assert result.exit_code == 4
    assert one_error(result) == "lossy.vqc: 2 of 6 packets missing (2, 3); get the file again"
    assert unchanged()
    assert run("decode", "whole.vqc", "--strict").exit_code == 0


@pytest.mark.parametrize("restorer", ["neighbour", "mean", "none"])
def test_restorers_without_a_network_need_none(lossy: Path, run: Callable, restorer: str) -> None:
    result = run("decode", "lossy.vqc", "--restorer", restorer)
    assert result.exit_code == 0
    assert f"({restorer})" in result.stderr


def test_a_network_that_the_pack_lacks_is_refused(
    lossy: Path, run: Callable, unchanged: Callable
) -> None:
    result = run("decode", "lossy.vqc", "--restorer", "transformer")
    assert result.exit_code == 5
    assert one_error(result) == (
        "lossy.vqc: model pack 'tiny' has no restorer; take --restorer neighbour, or train one "
        "with 'vqcodec train restorer'"
    )
    assert unchanged()


def test_a_pack_that_has_a_restorer_uses_it(lossy: Path, restoring: Path, run: Callable) -> None:
    result = run("decode", "lossy.vqc", "-m", "restoring", "--json", "-q")
    assert json.loads(result.stdout)["restorer"] == "transformer"
    result = run("decode", "lossy.vqc", "-m", "restoring", "--restorer", "mean", "-f")
    assert "(mean)" in result.stderr


def test_programs_are_told_what_was_lost(lossy: Path, run: Callable) -> None:
    told = json.loads(run("decode", "lossy.vqc", "--json", "-q").stdout)
    assert told["schema"] == "vqcodec.decode/1"
    assert told["is_whole"] is False
    assert told["losses"] == {
        "n_packets": 6,
        "n_rebuilt": 0,
        "missing": [2, 3],
        "n_damaged": 0,
        "n_foreign_bytes": 0,
        "n_indices": 12,
        "n_erased": 4,
    }
    assert (told["restorer"], told["erasure_map"]) == ("neighbour", None)
    whole = json.loads(run("decode", "whole.vqc", "--json", "-q").stdout)
    assert (whole["is_whole"], whole["restorer"]) == (True, None)
    assert (whole["losses"]["missing"], whole["losses"]["n_erased"]) == ([], 0)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_the_erasure_map_is_white_where_indices_were_lost(lossy: Path, run: Callable) -> None:
    result = run("decode", "lossy.vqc", "--erasure-map", "drawn.png", "--json")
    assert json.loads(result.stdout)["erasure_map"] == "drawn.png"
    drawn = _read(lossy / "drawn.png")
    header = container.parse((lossy / "whole.vqc").read_bytes()).header
    lost = np.isin(packet_map(3, 4, 6, header.row_step), LOST)
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    for row, column in np.ndindex(HEIGHT, WIDTH):
        assert (drawn[row, column] == (255 if lost[row // 16, column // 16] else 0)).all()
    assert run("decode", "whole.vqc", "--erasure-map", "none.png").exit_code == 0
    assert not _read(lossy / "none.png").any()


def test_the_erasure_map_replaces_nothing_unasked(lossy: Path, run: Callable) -> None:
    (lossy / "drawn.png").write_bytes(b"theirs")
    command = ("decode", "lossy.vqc", "--erasure-map", "drawn.png")
    result = run(*command)
    assert result.exit_code == 3
    assert one_error(result).startswith("drawn.png: exists.")
    assert (lossy / "drawn.png").read_bytes() == b"theirs"
    assert not (lossy / "lossy.png").exists()
    assert run(*command, "-f").exit_code == 0
    assert _read(lossy / "drawn.png").any()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "word"),
    [
        (["whole.vqc", "--erasure-map", "drawn.png"], 2, "takes one input"),
        (["--erasure-map", "drawn.jpg"], 2, "writes a PNG file; name it drawn.png"),
        (["--erasure-map", "drawn"], 2, "writes a PNG file"),
        (["--erasure-map", "-"], 2, "writes a PNG file"),
        (["--erasure-map", "lossy.png"], 2, "name the same file"),
        (["--erasure-map", "./new.png", "-o", "new.png"], 2, "name the same file"),
        (["--erasure-map", "no/drawn.png"], 3, "the folder no does not exist"),
        (["--strict", "--restorer", "none"], 2, "--restorer has nothing to do"),
        (["--strict", "--erasure-map", "drawn.png"], 2, "--erasure-map has nothing to do"),
        (["--restorer", "magic"], 2, "'magic' is not one of"),
    ],
)
def test_options_that_do_not_go_together(
    lossy: Path, run: Callable, unchanged: Callable, arguments, exit_code, word
) -> None:
    result = run("decode", "lossy.vqc", *arguments)
    assert result.exit_code == exit_code
    assert word in result.stderr
    assert unchanged()


def _truncate(pack: Path) -> None:
    path = pack / "restorer.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def _flip(pack: Path) -> None:
    path = pack / "restorer.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))


def _remove(pack: Path) -> None:
    (pack / "restorer.safetensors").unlink()


def _edit(old: str, new: str) -> Callable[[Path], None]:
    def change(pack: Path) -> None:
        path = pack / "manifest.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


def _sign(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change the file, and the manifest so that it fits."""

    def both(pack: Path) -> None:
        path, entry = pack / "restorer.safetensors", store.load(pack).manifest.restorer
        assert entry is not None
        blob = change(path.read_bytes())
        path.write_bytes(blob)
        _edit(entry.sha256, hashlib.sha256(blob).hexdigest())(pack)
        _edit(f"size_bytes = {entry.size_bytes}", f"size_bytes = {len(blob)}")(pack)

    return both


def _nans(blob: bytes) -> bytes:
    """The same tensors, all bytes of all values set."""
    size = 8 + int.from_bytes(blob[:8], "little")
    return blob[:size] + b"\xff" * (len(blob) - size)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_truncate, "bytes, the manifest says"),
        (_flip, "the manifest says"),
        (_remove, "No such file or directory"),
        (_sign(lambda blob: blob[:-7]), "not a readable safetensors file"),
        (_sign(lambda blob: blob[:5]), "not a readable safetensors file"),
        (_sign(_nans), "not finite"),
        (_edit("width = 32", "width = 64"), "has shape"),
        (_edit("width = 32", "width = 31"), "no multiple of 32"),
        (_edit("blocks = 2", "blocks = 99"), "blocks is 99, not a number from 1 to 32"),
        (_edit("learned = 8", "learned = 'many'"), "learned is 'many'"),
    ],
)
def test_a_broken_restorer_is_one_line(
    lossy: Path, restoring: Path, run: Callable, change, says
) -> None:
    change(restoring)  # its folder is named in full: what is loaded is kept by name
    before = {path: path.read_bytes() for path in lossy.rglob("*") if path.is_file()}
    result = run("decode", "lossy.vqc", "-m", str(restoring))
    assert result.exit_code == 5
    assert says in one_error(result)
    assert "restor" in one_error(result)
    assert {path: path.read_bytes() for path in lossy.rglob("*") if path.is_file()} == before
    # It is not needed for what is whole, nor where another was asked for.
    assert run("decode", "whole.vqc", "-m", str(restoring)).exit_code == 0
    assert run("decode", "lossy.vqc", "-m", str(restoring), "--restorer", "none").exit_code == 0


@pytest.mark.parametrize("change", [_truncate, _flip, _remove])
def test_models_check_checks_the_restorer(restoring: Path, run: Callable, change) -> None:
    assert run("models", "check", "restoring").exit_code == 0
    change(restoring)
    result = run("models", "check", "restoring")
    assert result.exit_code == 5
    assert "restorer.safetensors: " in one_error(result)


def test_models_show_shows_the_restorer(restoring: Path, run: Callable) -> None:
    entry = store.load(restoring).manifest.restorer
    assert entry is not None
    lines = run("models", "show", "restoring").stdout.splitlines()
    assert f"  restorer     {entry.size_bytes:,} bytes, sha256 {entry.sha256}" in lines
    told = json.loads(run("models", "show", "restoring", "--json").stdout)
    assert told["restorer"] == {"sha256": entry.sha256, "size_bytes": entry.size_bytes}
    assert "restorer" not in run("models", "show", "tiny").stdout
    assert json.loads(run("models", "show", "tiny", "--json").stdout)["restorer"] is None


def test_the_picture_of_a_pipe_is_restored_too(lossy: Path, run: Callable) -> None:
    data = (lossy / "lossy.vqc").read_bytes()
    result = run("decode", "-", "-o", "-", stdin=data)
    assert result.exit_code == 0
    assert re.match(r"vqcodec: note: stdin: 2 of 6 packets lost", result.stderr)
    with Image.open(io.BytesIO(result.stdout_bytes)) as image:
        assert image.size == (WIDTH, HEIGHT)
