"""Bits by coding, with random weights that have a context model; sums by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import vqcodec
from eval import bits
from eval.__main__ import main
from eval.savings import PACKETS, Row, Size, summarise, table

SIDES = {"a": (90, 130), "b": (33, 47)}


def count(photos: Path, pack: Path, *more: str) -> Result:
    arguments = ["bits", "--data", photos, "--model", pack, "--jobs", "1", *more]
    return CliRunner(env={"VQCODEC_DATA": ""}).invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, (height, width) in SIDES.items():
        y, x = np.mgrid[:height, :width]
        waves = 90 + 60 * np.sin(x / 9) + 40 * np.sin(y / 14 + x * y / 900)
        pixels = np.stack([waves, waves + 40, waves / 2 + width / 8], -1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def made(
    photos: Path, tiny_context_pack: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], str]:
    out = tmp_path_factory.mktemp("made") / "bits.json"
    done = count(photos, tiny_context_pack, "--tiers", "1,3", "--out", str(out))
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text(encoding="utf-8")), done.stdout


def test_sizes_are_those_of_whole_files(
    made: tuple[dict[str, Any], str], photos: Path, tiny_context_pack: Path
) -> None:
    found, _ = made
    assert found["schema"] == bits.SCHEMA
    assert found["provenance"]["model"]["name"] == "tiny-context"
    assert (found["settings"]["tiers"], found["settings"]["images"]) == ([1, 3], ["a", "b"])
    assert [(row["image"], row["tier"]) for row in found["rows"]] == [
        ("a", 1), ("a", 3), ("b", 1), ("b", 3),
    ]  # fmt: skip
    for row in found["rows"]:
        pixels = np.asarray(Image.open(photos / f"{row['image']}.png"))
        for file, size in row["sizes"].items():
            coding, _, packets = file.partition("/")
            weight = {"context": 0.0, "rdo default": None} if not packets else {}
            data = vqcodec.encode(
                pixels,
                tier=row["tier"],
                model=tiny_context_pack,
                coding=coding if coding in ("fixed", "table") else "context",
                rdo=weight.get(coding),
                n_packets=int(packets or 1),
            )
            told = vqcodec.describe(data)
            payload = len(data) - told.header_bytes
            assert size == {"size_bytes": len(data), "payload_bytes": payload}, file
            assert sum(packet.num_indices for packet in told.packets) == row["indices"]


def test_the_table_has_a_line_a_tier(made: tuple[dict[str, Any], str]) -> None:
    found, said = made
    lines = said.splitlines()
    assert lines[0].startswith(f"{found['settings']['data']}: 2 images, means over images")
    assert [line.split()[:3] for line in lines[3:5]] == [["1", "8", "3.000"], ["3", "32", "5.000"]]
    assert len({len(line) for line in lines[2:5]}) == 1


def row(image: str, **sizes: int) -> Row:
    files = {
        **{"fixed/4": 150, "context/4": 145, "fixed/20": 300, "context/20": 300},
        **sizes,
    }
    return Row(image, 16, 160, 2, 16, 20, {file: Size(n, n - 10) for file, n in files.items()}, "")


def test_savings_are_of_the_means() -> None:
    rows = [
        row("a", fixed=100, table=90, context=60, **{"rdo default": 54}),
        row("b", fixed=100, table=110, context=110, **{"rdo default": 99}),
    ]
    (found,) = summarise(rows)
    assert (found["tier"], found["codebook_size"], found["images"]) == (2, 16, 2)
    assert found["saving_percent"] == 15
    assert found["worst"] == {"image": "b", "saving_percent": -10}
    assert found["larger"] == 1
    assert found["rdo"] == {"default": 10}
    assert found["bits_per_index"] == {"fixed": 4, "table": 36, "context": 30}
    assert found["bpp"]["context"] == 8 * 85 / 2560
    assert found["packets"] == {
        "4": {"saving_percent": 3.333, "kept_percent": 33.333},
        "20": {"saving_percent": 0, "kept_percent": 0},
    }
    assert table({"summary": [found]}).splitlines()[1].split()[5:] == [
        "0.3125", "0.2656", "15.00", "-10.00", "1", "10.00", "3.33", "33.3", "0.00", "0.0",
    ]  # fmt: skip


def test_a_model_that_saves_nothing_keeps_no_share() -> None:
    (found,) = summarise([row("a", fixed=100, table=90, context=100, **{"rdo 0.5": 100})])
    assert [found["packets"][str(n)]["kept_percent"] for n in PACKETS] == [None, None]
    assert "-" in table({"summary": [found]}).split()


def test_fixed_coding_fills_whole_bytes_in_each_packet() -> None:
    assert bits.fixed_payload([21], 8) == 8
    assert bits.fixed_payload([6, 5, 5, 5, 0], 8) == 3 + 2 + 2 + 2


def test_bad_images_are_named_and_the_others_are_counted(
    photos: Path, tiny_context_pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "b.png").write_bytes((photos / "b.png").read_bytes())
    out = tmp_path / "bits.json"
    more = ("--tiers", "2", "--rdo", "0.5", "--rdo", "2", "--out", str(out))
    done = count(tmp_path, tiny_context_pack, *more)
    assert done.exit_code == 3, done.output
    assert "left out: text.jpg: no image" in done.stderr
    assert "1/1 b, tier 2: " in done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [entry["image"] for entry in found["failed"]] == ["text.jpg"]
    assert found["settings"]["rdo"] == [0.5, 2]
    assert list(found["summary"][0]["rdo"]) == ["0.5", "2"]


def test_what_cannot_be_counted_is_said_in_a_line(
    photos: Path, tiny_pack: Path, tiny_context_pack: Path, tmp_path: Path
) -> None:
    for pack, more, code, message in (
        (tiny_pack, (), 1, "has no context model for tier 1"),
        (tiny_context_pack, ("--tiers", "7"), 1, "has no tier 7"),
        (tiny_context_pack, ("--rdo", "0"), 2, "0.0 is not in the range"),
        (tiny_context_pack, ("--rdo", "1e9"), 1, "the weight of a bit is from 0"),
        (tmp_path / "none", (), 1, "none"),
    ):
        done = count(photos, pack, *more)
        assert done.exit_code == code, done.output
        assert message in done.stderr
        assert "Traceback" not in done.output
    done = count(tmp_path, tiny_context_pack)
    assert (done.exit_code, done.stderr) == (1, f"Error: no image in {tmp_path}\n")
