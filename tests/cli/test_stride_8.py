"""A pack of stride 8 through the whole command line."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqcodec.bitstream import container
from vqcodec.bitstream.layout import MAGIC
from vqcodec.indices.scan import packet_map
from vqcodec.packs import store

WIDTH, HEIGHT = 75, 50
MAP_WIDTH, MAP_HEIGHT = 10, 7

needs_taming = pytest.mark.skipif(
    importlib.util.find_spec("taming") is None,
    reason="taming-transformers is not installed (extra [taming])",
)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def picture(folder: Path) -> Path:
    """A picture whose sides are multiples of no stride."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([x * 3, y * 5, x + y], 2).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    return folder / "picture.png"


@needs_taming
def test_encode_info_verify_impair_and_decode(picture: Path, run: Callable, folder: Path) -> None:
    encode = ("encode", "picture.png", "-m", "tiny-f8", "--packets", "6", "--fec", "34%")
    result = run(*encode, "--json", "-q")
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert (made["model"], made["tier"], made["n_parity"]) == ("tiny-f8", 5, 3)
    data = (folder / "picture.vqc").read_bytes()
    header = container.parse(data).header
    assert (header.stride, header.map_width, header.map_height) == (8, MAP_WIDTH, MAP_HEIGHT)

    assert "tier 5 (128 words), stride 8, fixed coding" in run("info", "picture.vqc").stdout
    told = json.loads(run("info", "picture.vqc", "--json").stdout)
    assert told["stride"] == 8
    assert sum(packet["num_indices"] for packet in told["packets"]) == MAP_WIDTH * MAP_HEIGHT
    for option in ((), ("--pixels",)):
        result = run("verify", "picture.vqc", *option)
        assert (result.stdout, result.exit_code) == ("picture.vqc: intact\n", 0)

    result = run("decode", "picture.vqc", "-o", "whole.png", "--strict")
    assert result.exit_code == 0, result.stderr
    whole = _read(folder / "whole.png")
    assert whole.shape == (HEIGHT, WIDTH, 3)
    result = run("impair", "picture.vqc", "-o", "impaired.vqc", "--loss", "0.3", "--seed", "4")
    assert result.exit_code == 0, result.stderr
    assert run("verify", "impaired.vqc").exit_code == 4
    assert run("decode", "impaired.vqc", "-o", "none.png", "--strict").exit_code == 4
    result = run("decode", "impaired.vqc", "-o", "rebuilt.png", "--json")
    losses = json.loads(result.stdout)["losses"]
    assert (losses["n_rebuilt"] > 0, losses["n_erased"]) == (True, 0)
    assert np.array_equal(_read(folder / "rebuilt.png"), whole)


@needs_taming
@pytest.mark.parametrize("restorer", ["neighbour", "mean", "none"])
def test_what_is_lost_is_painted_in_squares_of_8(
    picture: Path, run: Callable, folder: Path, restorer: str
) -> None:
    assert run("encode", "picture.png", "-m", "tiny-f8", "--packets", "6").exit_code == 0
    data, lost = (folder / "picture.vqc").read_bytes(), (1, 4)
    parsed = container.parse(data)
    kept = [packet for packet in parsed.packets if packet.index not in lost]
    left = MAGIC + b"".join(data[p.offset : p.offset + p.size_bytes] for p in kept)
    (folder / "lossy.vqc").write_bytes(left)
    command = ("decode", "lossy.vqc", "--restorer", restorer, "--erasure-map", "drawn.png")
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    assert f"painted by guess ({restorer})" in result.stderr
    assert _read(folder / "lossy.png").shape == (HEIGHT, WIDTH, 3)
    is_lost = np.isin(packet_map(MAP_HEIGHT, MAP_WIDTH, 6, parsed.header.row_step), lost)
    large = is_lost.repeat(8, axis=0).repeat(8, axis=1)[:HEIGHT, :WIDTH]
    drawn = _read(folder / "drawn.png")
    assert np.array_equal(drawn, np.repeat(large[:, :, None], 3, axis=2) * np.uint8(255))


@needs_taming
@pytest.mark.parametrize("coding", ["auto", "fixed", "table", "context"])
def test_every_coding_mode_gives_the_same_picture(
    picture: Path, run: Callable, folder: Path, coding: str
) -> None:
    options = ("--coding", coding, "-t", "3") + (("--rdo", "0") if coding != "fixed" else ())
    result = run("encode", "picture.png", "-m", "tiny-f8", *options, "-o", "one.vqc")
    assert result.exit_code == 0, result.stderr
    assert container.parse((folder / "one.vqc").read_bytes()).header.stride == 8
    assert run("verify", "one.vqc").exit_code == 0
    fixed = ("--coding", "fixed", "-t", "3", "-o", "fixed.vqc")
    assert run("encode", "picture.png", "-m", "tiny-f8", *fixed).exit_code == 0
    for name in ("one", "fixed"):
        assert run("decode", f"{name}.vqc", "--strict").exit_code == 0
    assert np.array_equal(_read(folder / "one.png"), _read(folder / "fixed.png"))


@needs_taming
def test_a_target_is_met(picture: Path, run: Callable, folder: Path) -> None:
    command = ("encode", "picture.png", "-m", "tiny-f8", "--target-bytes", "62")
    assert run(*command, "--coding", "fixed").exit_code == 0
    header = container.parse((folder / "picture.vqc").read_bytes()).header
    assert header.tier == 3  # 16 + 70 indices of 5 bits: 60 bytes; of 6 bits: 69
    result = run("encode", "picture.png", "-m", "tiny-f8", "--mtu", "40", "-o", "many.vqc")
    assert result.exit_code == 0, result.stderr
    packets = container.parse((folder / "many.vqc").read_bytes()).packets
    assert len(packets) > 1
    assert max(packet.size_bytes for packet in packets) <= 40


@pytest.mark.parametrize("verb", ["decode", "verify"])
@pytest.mark.parametrize(
    ("name", "pack", "strides"),
    [("stride-8-of-a-pack-of-16", "tiny", (8, 16)), ("f8-stride-16", "tiny-f8", (16, 8))],
)
def test_another_stride_than_the_pack_s_is_one_line(
    run: Callable, root: Path, unchanged: Callable, verb: str, name: str, pack: str, strides: tuple
) -> None:
    path = root / "tests" / "golden" / "v1" / "bad" / f"FormatError-{name}.vqc"
    result = run(verb, "-", *(("-o", "-") if verb == "decode" else ()), stdin=path.read_bytes())
    assert result.exit_code == 4
    (line,) = (result.stderr if verb == "decode" else result.stdout).splitlines()
    assert line.removeprefix("vqcodec: error: ") == (
        f"stdin: the file has stride {strides[0]}, model pack '{pack}' of its weights id has "
        f"{strides[1]}; get the file again, or give its own pack with --model"
    )
    assert run("info", "-", stdin=path.read_bytes()).exit_code == 0
    assert unchanged()


def test_a_manifest_whose_stride_is_not_the_network_s_is_one_line(
    run: Callable, folder: Path, tiny_pack: Path
) -> None:
    pack = Path(shutil.copytree(tiny_pack, folder / "lying"))
    manifest = (pack / "manifest.toml").read_text(encoding="utf-8")
    text = manifest.replace("stride = 16", "stride = 8")
    (pack / "manifest.toml").write_text(text, encoding="utf-8")
    result = run("encode", "photo.png", "-m", str(pack), "-o", "none.vqc")
    assert result.exit_code == 5
    (line,) = result.stderr.splitlines()
    assert "the manifest says stride 8, the net has 16" in line
    assert not (folder / "none.vqc").exists()


def test_the_pack_says_its_stride(run: Callable) -> None:
    assert "  network      taming, stride 8" in run("models", "show", "tiny-f8").stdout.splitlines()
    assert json.loads(run("models", "show", "tiny-f8", "--json").stdout)["stride"] == 8
    assert run("models", "check", "tiny-f8").exit_code == 0
    assert store.find("tiny-f8").manifest.stride == 8
